"""The loaders of a task's sets, and the transforms of their samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch

from metaloss.checks import require
from metaloss.seeding import derive
from metaloss.types import Loader

from .batch_loader import BatchLoader
from .folder_loader import FolderLoader
from .folder_set import FolderSet
from .image_set import ImageSet
from .partition import AnySet
from .standardise import Standardise
from .tables import Table
from .transforms import Normalise, Transform, channel_statistics


@runtime_checkable
class TransformFactory(Protocol):
    """Makes a training transform; :class:`metaloss.tasks.Augment` is one."""

    def __call__(self, *, mean: tuple[float, ...], std: tuple[float, ...]) -> Transform:
        """Return a transform that normalises by this mean and standard deviation at its end."""
        ...


class Transforms(NamedTuple):
    """The transforms of inputs in memory; image files have their own."""

    training: Transform | None = None
    evaluation: Transform | None = None


def transforms_for(
    train: AnySet,
    augment: TransformFactory | None,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    *,
    standardise: bool = False,
) -> Transforms:
    """Return the transforms of a task's samples.

    Args:
        train: the training samples.
        augment: makes the training transform of uint8 images. By default, images are normalised and
            not augmented.
        mean: the mean of each channel; by default, that of the training samples.
        std: the standard deviation of each channel, likewise.
        standardise: whether each column of floating-point inputs is scaled by the mean and the
            standard deviation of the training samples.

    Raises:
        InputError: only one of ``mean`` and ``std`` is given, any of the three is given for samples
            that are not uint8 images in memory, or images are to be standardised.
    """
    require(
        (mean is None) == (std is None),
        f"mean and std: expected both or neither, got {mean}, {std}",
    )
    floating = isinstance(train, ImageSet) and train.images.is_floating_point()
    require(
        floating or not standardise,
        f"standardise: expected floating-point inputs, {train.name} is images, which are always "
        "normalised",
    )
    if isinstance(train, FolderSet) or floating:
        require(
            augment is None and mean is None,
            f"augment, mean and std: expected none, {train.name} is not uint8 images in memory",
        )
        if isinstance(train, FolderSet) or not standardise:
            return Transforms()
        scale = Standardise.of(train.images)
        return Transforms(scale, scale)
    if mean is None or std is None:
        mean, std = channel_statistics(train.images)
    mean, std = tuple(mean), tuple(std)
    evaluation = Normalise(mean, std)
    return Transforms(augment(mean=mean, std=std) if augment else evaluation, evaluation)


def loaders_of(
    sets: Mapping[str, AnySet | Table],
    transforms: Transforms,
    *,
    batch_size: int,
    meta_batch_size: int,
    eval_batch_size: int,
    augment_meta: bool,
    seed: int,
    device: torch.device | str,
) -> dict[str, Loader]:
    """Return a loader for each of a task's sets.

    Args:
        sets: the sets named "train" and "test", and "meta" and "validation" if the task has them.
        transforms: the transforms of samples in memory.
        batch_size: training samples in a batch.
        meta_batch_size: meta samples in a batch.
        eval_batch_size: validation or test samples in a batch, at most.
        augment_meta: whether the meta samples go through the training transform.
        seed: the seed of the run; each set has a stream of its own for order and augmentation.
        device: the device of the batches.
    """
    sizes = {"train": batch_size, "meta": meta_batch_size}
    augmented = {"train"} | ({"meta"} if augment_meta else set())
    return {
        part: _loader_of(
            samples,
            sizes.get(part, min(eval_batch_size, len(samples))),
            transforms,
            augmented=part in augmented,
            training=part in sizes,
            seed=derive(seed, part),
            device=device,
        )
        for part, samples in sets.items()
    }


def _loader_of(
    samples: AnySet | Table,
    batch_size: int,
    transforms: Transforms,
    *,
    augmented: bool,
    training: bool,
    seed: int,
    device: torch.device | str,
) -> Loader:
    if isinstance(samples, FolderSet):
        return FolderLoader(
            samples,
            batch_size,
            seed=seed,
            augment=augmented,
            shuffle=training,
            drop_last=training,
            device=device,
        )
    return BatchLoader(
        samples.inputs if isinstance(samples, Table) else samples.images,
        samples.targets,
        batch_size,
        seed=seed,
        transform=transforms.training if augmented else transforms.evaluation,
        eval_transform=transforms.evaluation,
        shuffle=training,
        drop_last=training,
        device=device,
    )
