"""Images too large to hold decoded: their files, labels and transforms."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from jaxtyping import Int
from PIL import Image
from torch import Tensor

from metaloss.checks import check_at_least, check_labels, require
from metaloss.files import user_path
from metaloss.shim import import_torchvision

from .images import check_class_names
from .listings import list_parts
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


def image_files(
    root: str | Path,
    size: int = 224,
    *,
    train: str = "train",
    test: str | None = "test",
    clean: str | None = None,
    labels_checked: bool = False,
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
        labels_checked: whether the labels of ``train`` are known to be right: see
            :class:`Source`.
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
    root = user_path(root)
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
    return Source(sets["train"], sets.get("test"), sets.get("clean"), labels_checked)


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
