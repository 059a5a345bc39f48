"""Image files read, transformed and batched, in this process or by workers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Int
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from metaloss.checks import InputError, require
from metaloss.digest import digest
from metaloss.seeding import derive, generator
from metaloss.types import Batch

from .batch_plan import BatchPlan
from .decoding import open_image, shown
from .folder_set import FolderSet


class FolderLoader:
    """A :class:`metaloss.types.Loader` over image files.

    Each sample of each epoch draws its augmentation from a stream of its own, so an epoch is the
    same whatever the number of workers, and the global generators are left alone.

    Args:
        data: the files.
        batch_size: samples in a batch, not more than there are.
        seed: of the order and the augmentation.
        augment: whether to use the set's training transform rather than the other.
        shuffle: whether each epoch has an order of its own.
        drop_last: leave out a last batch that is not full.
        device: where the batches go.

    Raises:
        InputError: the batch is larger than the data; in an epoch, a file that cannot be read, or a
            transform that fails or gives another shape than ``data.sample_shape``, or a worker that
            was killed. From a worker it comes without the traceback, which ``workers=0`` shows.

    Example:
        >>> from metaloss.tasks import FolderLoader, image_files
        >>> loader = FolderLoader(image_files("data/pets").train, batch_size=32)  # doctest: +SKIP
    """

    def __init__(
        self,
        data: FolderSet,
        batch_size: int,
        *,
        seed: int = 0,
        augment: bool = True,
        shuffle: bool = True,
        drop_last: bool = True,
        device: torch.device | str = "cpu",
    ) -> None:
        self._plan = BatchPlan(len(data), batch_size, seed, shuffle, drop_last)
        self._data = data
        self._augment = augment
        self._device = torch.device(device)
        self._targets = data.targets.to(self._device)

    @property
    def num_samples(self) -> int:
        """Samples in the set."""
        return self._plan.num_samples

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self._plan)

    @cached_property
    def fingerprint(self) -> str:
        """A digest of the files' names and sizes, and of their labels; no image is read."""
        paths = [Path(file) for file in self._data.files]
        files = [f"{path.parent.name}/{path.name} {path.stat().st_size}" for path in paths]
        return digest("\n".join(files), self._targets)

    def again(self, seed: int, targets: Int[Tensor, " samples"] | None = None) -> FolderLoader:
        """A loader over the same samples.

        Args:
            seed: of its order and its augmentation.
            targets: other labels, ``[samples]``, int64.

        Raises:
            InputError: there is not one label for each file.
        """
        plan = self._plan
        return FolderLoader(
            self._data if targets is None else self._data.with_targets(targets),
            plan.batch_size,
            seed=seed,
            augment=self._augment,
            shuffle=plan.shuffle,
            drop_last=plan.drop_last,
            device=self._device,
        )

    def in_order(self) -> FolderLoader:
        """The same samples, each once and in their order, as they are evaluated on."""
        return FolderLoader(
            self._data,
            self._plan.batch_size,
            augment=False,
            shuffle=False,
            drop_last=False,
            device=self._device,
        )

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of epoch ``number``, counted from 0."""
        return self._epoch(number, self._plan.order(number))

    def _epoch(self, number: int, order: Tensor) -> Iterator[Batch]:
        loader = DataLoader(
            _Images(self._data, derive(self._plan.seed, "augment", number), self._augment),
            batch_sampler=[batch.tolist() for batch in self._plan.cut(order)],
            num_workers=self._data.workers,
            generator=generator(
                self._plan.seed, "workers", number
            ),  # or the global one is drawn on
            pin_memory=self._device.type == "cuda",
            collate_fn=_collate,
        )
        cuts = self._plan.cut(order.to(self._device))
        for inputs, index in zip(_while_alive(loader, self._data.name), cuts, strict=True):
            if isinstance(inputs, InputError):
                raise inputs
            yield Batch(inputs.to(self._device, non_blocking=True), self._targets[index], index)


class _Images(Dataset[Tensor]):
    """The transformed images of one epoch.

    A batch with a sample that cannot be had is the error that says why, handed over like any batch:
    if a worker raised it, torch would wrap it in that process's traceback.
    """

    def __init__(self, data: FolderSet, seed: int, augment: bool) -> None:
        self._data = data
        self._seed = seed
        self._augment = augment

    def __getitems__(self, positions: list[int]) -> list[Tensor] | InputError:
        try:
            return [self[position] for position in positions]
        except InputError as error:
            return error

    def __getitem__(self, position: int) -> Tensor:
        file = self._data.files[position]
        image = open_image(file, channels=3)
        try:
            sample = (
                self._augmented(image, position)
                if self._augment
                else self._data.eval_transform(image)
            )
        except Exception as error:  # it is somebody's own code
            raise InputError(
                f"{shown(file)}: expected an image that can be transformed, "
                f"got {type(error).__name__}: {error}"
            ) from error
        found = list(sample.shape) if isinstance(sample, Tensor) else f"a {type(sample).__name__}"
        require(
            found == list(self._data.sample_shape),
            f"{self._data.name}: expected transforms that give {list(self._data.sample_shape)}, "
            f"got {found} from {shown(file)}",
        )
        return sample

    def _augmented(self, image: Image.Image, position: int) -> Tensor:
        # torchvision's transforms draw from the global CPU generator; torch.manual_seed would reset
        # the accelerator's as well.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive(self._seed, position))
            return self._data.train_transform(image)


def _while_alive(batches: DataLoader[Tensor], name: str) -> Iterator[Tensor | InputError]:
    try:
        yield from batches
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise InputError(
            f"{name}: expected workers that read until the end, but one was killed, most likely "
            "for the memory it took; fewer workers or a smaller batch take less"
        ) from error


def _collate(samples: list[Tensor] | InputError) -> Tensor | InputError:
    return samples if isinstance(samples, InputError) else default_collate(samples)
