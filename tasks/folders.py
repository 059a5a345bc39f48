"""Images too large to hold decoded: read, transformed and batched by worker processes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Int
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from metaloss.checks import check_at_least, check_labels, require
from metaloss.digest import digest
from metaloss.seeding import derive, generator
from metaloss.shim import import_torchvision
from metaloss.types import Batch

from .decoding import open_image
from .images import check_class_names
from .listings import list_parts
from .plans import BatchPlan
from .sources import Source
from .tables import STATISTICS

PILTransform = Callable[[Image.Image], Tensor]
"""From a colour image to what a model takes; anything random in it draws from torch."""


@dataclass(frozen=True)
class FolderSet:
    """Image files and their labels.

    Attributes:
        files: their paths.
        targets: labels, ``[samples]``, int64.
        class_names: a name for each class, all different, two or more.
        name: what to call the set.
        size: height and width that the transforms give.
        train_transform: what training samples go through.
        eval_transform: what samples go through in evaluation; nothing random in it.
        workers: processes that read images; 0 to read them in this one.

    Raises:
        InputError: the parts do not go together.

    Example:
        >>> from metaloss.tasks import image_files
        >>> source = image_files("data/pets", size=224)  # doctest: +SKIP
        >>> source.train.sample_shape  # doctest: +SKIP
        (3, 224, 224)
    """

    files: tuple[str, ...]
    targets: Int[Tensor, " samples"]
    class_names: tuple[str, ...]
    name: str
    size: int
    train_transform: PILTransform
    eval_transform: PILTransform
    workers: int = 0

    def __post_init__(self) -> None:
        """Check that the parts go together."""
        check_at_least(f"{self.name}: size", self.size, 1)
        check_at_least(f"{self.name}: workers", self.workers, 0)
        check_class_names(self.name, self.class_names)
        check_labels(f"{self.name}: targets", self.targets, len(self.class_names))
        require(
            len(self.files) == len(self.targets),
            f"{self.name}: expected a label for each file, got {len(self.targets)} labels and "
            f"{len(self.files)} files",
        )

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.targets)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of one sample, transformed."""
        return (3, self.size, self.size)

    @property
    def origin(self) -> object:
        """What two sets have in common if, and only if, their samples are the same."""
        return self.files

    def subset(self, index: Int[Tensor, " chosen"]) -> FolderSet:
        """Some of the samples, in the order given.

        Args:
            index: their positions, int64.
        """
        files = tuple(self.files[position] for position in index.tolist())
        return replace(self, files=files, targets=self.targets[index])

    def with_targets(self, targets: Int[Tensor, " samples"]) -> FolderSet:
        """The same samples with other labels.

        Args:
            targets: labels, ``[samples]``, int64.
        """
        return replace(self, targets=targets)


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
        InputError: the batch is larger than the data; in an epoch, a file that cannot be read or a
            transform that gives another shape than ``data.sample_shape``.

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
        )
        for inputs, index in zip(loader, self._plan.cut(order.to(self._device)), strict=True):
            yield Batch(inputs.to(self._device, non_blocking=True), self._targets[index], index)


class _Images(Dataset[Tensor]):
    """The transformed images of one epoch."""

    def __init__(self, data: FolderSet, seed: int, augment: bool) -> None:
        self._data = data
        self._seed = seed
        self._augment = augment

    def __getitem__(self, position: int) -> Tensor:
        image = open_image(self._data.files[position], channels=3)
        sample = (
            self._augmented(image, position) if self._augment else self._data.eval_transform(image)
        )
        require(
            tuple(sample.shape) == self._data.sample_shape,
            f"{self._data.name}: expected transforms that give {list(self._data.sample_shape)}, "
            f"got {list(sample.shape)} from {self._data.files[position]}",
        )
        return sample

    def _augmented(self, image: Image.Image, position: int) -> Tensor:
        # torchvision's transforms draw from the global CPU generator; torch.manual_seed would reset
        # the accelerator's as well.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive(self._seed, position))
            return self._data.train_transform(image)


def image_files(
    root: str | Path,
    size: int = 224,
    *,
    train: str = "train",
    test: str | None = "test",
    clean: str | None = None,
    train_transform: PILTransform | None = None,
    eval_transform: PILTransform | None = None,
    workers: int = 0,
    name: str | None = None,
) -> Source[FolderSet]:
    """A data set of image files that are read when they are needed.

    For images small enough to hold decoded, :func:`metaloss.tasks.image_folder` trains faster.

    Args:
        root: a folder laid out as ``root/<part>/<class>/<image>``.
        size: height and width that the transforms give.
        train: the folder of training images.
        test: the folder of test images; ``None`` if there is none.
        clean: the folder of images with verified labels, if the training labels are noisy.
        train_transform: from a PIL image to a tensor ``[3, size, size]``. If not given: scaled so
            that the shorter side is 8/7 of ``size``, cropped and flipped at random, normalised with
            ImageNet's statistics.
        eval_transform: likewise, without randomness. If not given: as above, with the centre crop.
        workers: processes that read images; 0 to read them in this one.
        name: what to call it; the name of ``root`` if not given.

    Raises:
        InputError: a folder is not there, or the folders' classes are not the same.

    Example:
        >>> from metaloss.tasks import image_files
        >>> source = image_files("data/clothing", clean="clean_val", workers=8)  # doctest: +SKIP
    """
    root = Path(root)
    name = name or root.resolve().name
    listings = list_parts(root, {"train": train, "test": test, "clean": clean})
    sets = {
        part: FolderSet(
            listing.files,
            listing.targets,
            listing.class_names,
            name if part == "train" else f"{name} ({part})",
            size,
            train_transform or crop_and_flip_files(size),
            eval_transform or centre_crop_files(size),
            workers,
        )
        for part, listing in listings.items()
    }
    return Source(sets["train"], sets.get("test"), sets.get("clean"))


def crop_and_flip_files(size: int) -> PILTransform:
    """The usual training transform of photographs: scale, random crop, random flip, normalise.

    Args:
        size: height and width of the result.
    """
    transforms = import_torchvision().transforms
    mean, std = STATISTICS["imagenet"]
    return transforms.Compose(
        [
            transforms.Resize(math.ceil(size * 8 / 7)),
            transforms.RandomCrop(size),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(mean, std),
        ]
    )


def centre_crop_files(size: int) -> PILTransform:
    """The usual evaluation transform of photographs: scale, centre crop, normalise.

    Args:
        size: height and width of the result.
    """
    transforms = import_torchvision().transforms
    mean, std = STATISTICS["imagenet"]
    return transforms.Compose(
        [
            transforms.Resize(math.ceil(size * 8 / 7)),
            transforms.CenterCrop(size),
            transforms.ToTensor(),
            transforms.Normalize(mean, std),
        ]
    )
