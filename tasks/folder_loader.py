"""Batches of image files, read in this process or by workers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Int
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from metaloss.checks import InputError, require
from metaloss.digest import digest
from metaloss.processes import equal_part
from metaloss.seeding import derive, generator
from metaloss.types import Batch

from .batch_plan import BatchPlan
from .decoding import open_image, shown
from .folder_set import FolderSet

_LOOK = 5.0  # seconds after which it is looked whether the workers are alive


@dataclass(eq=False, repr=False)
class FolderLoader:
    """A :class:`metaloss.types.Loader` over image files.

    The augmentation of each sample in each epoch has a random stream of its own. An epoch is
    therefore the same for any number of workers, and the global generators do not change.

    Attributes:
        data: the image files.
        batch_size: samples in a batch, at most the number of samples.
        seed: the seed of the order and the augmentation.
        augment: whether to use the set's training transform; if not, its evaluation transform.
        shuffle: whether each epoch has an order of its own.
        drop_last: whether to drop a last batch that is not full.
        device: the device of the batches.
        own: which part of each batch is read, and how many equal parts there are.

    Raises:
        InputError: the batch is larger than the set. While an epoch is read: a file cannot be read,
            a transform fails or returns a shape other than ``data.sample_shape``, a worker dies, or
            takes longer than ``data.timeout``. An error in a worker comes without its traceback;
            ``workers=0`` shows it.

    Example:
        >>> from metaloss.tasks import FolderLoader, image_files
        >>> loader = FolderLoader(image_files("data/pets").train, batch_size=32)  # doctest: +SKIP
    """

    data: FolderSet
    batch_size: int
    _: KW_ONLY
    seed: int = 0
    augment: bool = True
    shuffle: bool = True
    drop_last: bool = True
    device: torch.device | str = "cpu"
    own: tuple[int, int] = (0, 1)

    def __post_init__(self) -> None:
        """Check the batch size and copy the targets to the device."""
        self._plan = BatchPlan(
            len(self.data), self.batch_size, self.seed, self.shuffle, self.drop_last
        )
        self._targets = self.data.targets.to(self.device)

    @property
    def num_samples(self) -> int:
        """Number of samples in the set."""
        return self._plan.num_samples

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return len(self._plan)

    @cached_property
    def fingerprint(self) -> str:
        """A digest of the files' names, sizes and labels; no image is read."""
        paths = [Path(file) for file in self.data.files]
        files = [f"{path.parent.name}/{path.name} {path.stat().st_size}" for path in paths]
        return digest("\n".join(files), self._targets)

    def again(self, seed: int, targets: Int[Tensor, " samples"] | None = None) -> FolderLoader:
        """Return a loader over the same files.

        Args:
            seed: the seed of its order and its augmentation.
            targets: other labels, ``[samples]``, int64; by default, the same ones.

        Raises:
            InputError: files and labels differ in number.
        """
        data = self.data if targets is None else self.data.with_targets(targets)
        return replace(self, seed=seed, data=data)

    def select(self, index: Int[Tensor, " chosen"]) -> FolderLoader:
        """Return a loader over some of the files, in the order given.

        Args:
            index: their positions, int64. Their number is the largest batch.
        """
        size = min(self.batch_size, len(index))
        return replace(self, data=self.data.subset(index.cpu()), batch_size=size)

    def part(self, rank: int, number: int) -> FolderLoader:
        """Return a loader that reads one of several equal parts of each batch.

        Args:
            rank: which part, from 0.
            number: how many parts there are.
        """
        return replace(self, own=(rank, number))

    def in_order(self) -> FolderLoader:
        """Return an evaluation loader: every sample once, in order and without augmentation."""
        return replace(self, augment=False, shuffle=False, drop_last=False)

    def _own(self, batch: Tensor) -> Tensor:
        return batch if self.own == (0, 1) else batch[equal_part(len(batch), *self.own)]

    def epoch(self, number: int) -> Iterator[Batch]:
        """Return the batches of epoch ``number``, counted from 0."""
        return self._batches(number, self._plan.order(number))

    def _batches(self, number: int, order: Tensor) -> Iterator[Batch]:
        device = torch.device(self.device)
        loader = DataLoader(
            _Images(self.data, derive(self.seed, "augment", number), self.augment),
            batch_sampler=[self._own(batch).tolist() for batch in self._plan.cut(order)],
            num_workers=self.data.workers,
            timeout=min(_LOOK, self.data.timeout or _LOOK) if self.data.workers else 0,
            # Without a generator of its own, DataLoader draws from the global one.
            generator=generator(self.seed, "workers", number),
            pin_memory=device.type == "cuda",
            collate_fn=_collate,
        )
        indices = map(self._own, self._plan.cut(order.to(device)))
        for inputs, index in zip(_while_alive(loader, self.data), indices, strict=True):
            if isinstance(inputs, InputError):
                raise inputs
            yield Batch(inputs.to(device, non_blocking=True), self._targets[index], index)


class _Images(Dataset[Tensor]):
    """The transformed images of one epoch.

    An :class:`InputError` is returned in place of the batch, not raised: torch would wrap an error
    that a worker raises in that process's traceback.
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
        except Exception as error:  # a user's transform may raise anything
            raise InputError(
                f"{shown(file)}: expected an image that can be transformed, "
                f"got {type(error).__name__}: {error}"
            ) from error
        found = list(sample.shape) if isinstance(sample, Tensor) else f"a {type(sample).__name__}"
        require(
            found == list(self._data.sample_shape),
            f"{self._data.name}: expected transforms that return {list(self._data.sample_shape)}, "
            f"got {found} from {shown(file)}",
        )
        return sample

    def _augmented(self, image: Image.Image, position: int) -> Tensor:
        # torchvision's transforms draw from the global CPU generator. torch.manual_seed would seed
        # the accelerator's generator too.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive(self._seed, position))
            return self._data.train_transform(image)


def _while_alive(loader: DataLoader[Tensor], data: FolderSet) -> Iterator[Tensor | InputError]:
    """Yield the batches, and turn a worker that dies or hangs into an :class:`InputError`."""
    batches = iter(loader)
    began = time.monotonic()
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except RuntimeError as error:
            if "DataLoader timed out" not in str(error):
                raise _died(data, error) from None
            if 0 < data.timeout <= time.monotonic() - began:
                raise InputError(
                    f"{data.name}: expected workers that read until the end, but none had a batch "
                    f"after {data.timeout:g} seconds; use workers=0 to see where they hang, or a "
                    "longer timeout"
                ) from None
            continue  # torch looks whether a worker has died each time that it gives up
        yield batch
        began = time.monotonic()


def _died(data: FolderSet, error: RuntimeError) -> Exception:
    if "DataLoader worker" not in str(error):
        return error
    return InputError(
        f"{data.name}: expected workers that read until the end, but one died, most likely killed "
        "because memory ran out; use fewer workers or a smaller batch"
    )


def _collate(samples: list[Tensor] | InputError) -> Tensor | InputError:
    return samples if isinstance(samples, InputError) else default_collate(samples)
