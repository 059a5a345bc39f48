"""Loaders of a task's sets, in memory or image files, and the transforms of their samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch

from metaloss.checks import require
from metaloss.types import Loader

from .batch_loader import BatchLoader
from .folder_loader import FolderLoader
from .folder_set import FolderSet
from .partition import AnySet
from .transforms import Normalise, Transform, channel_statistics


@runtime_checkable
class TransformFactory(Protocol):
    """What makes a training transform, such as :class:`metaloss.tasks.Augment`."""

    def __call__(self, *, mean: tuple[float, ...], std: tuple[float, ...]) -> Transform:
        """A transform that ends in normalisation with this mean and standard deviation."""
        ...


class Transforms(NamedTuple):
    """What inputs in memory go through; image files bring their own."""

    training: Transform | None
    evaluation: Transform | None


def transforms_for(
    train: AnySet,
    augment: TransformFactory | None,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
) -> Transforms:
    """The transforms of a task's samples.

    Args:
        train: the training samples.
        augment: makes the training transform of uint8 images; if not given, they are only
            normalised.
        mean: of each channel; of the training samples if not given.
        std: likewise.

    Raises:
        InputError: one of mean and std alone, or any of the three for samples that are not uint8
            images in memory.
    """
    require(
        (mean is None) == (std is None),
        f"mean and std: expected both or neither, got {mean}, {std}",
    )
    if isinstance(train, FolderSet) or train.images.is_floating_point():
        require(
            augment is None and mean is None,
            f"augment, mean and std: expected none, {train.name} is not uint8 images in memory",
        )
        return Transforms(None, None)
    if mean is None or std is None:
        mean, std = channel_statistics(train.images)
    mean, std = tuple(mean), tuple(std)
    evaluation = Normalise(mean, std)
    return Transforms(augment(mean=mean, std=std) if augment else evaluation, evaluation)


def loader_of(
    samples: AnySet,
    batch_size: int,
    transforms: Transforms,
    *,
    augmented: bool,
    training: bool,
    seed: int,
    device: torch.device | str,
) -> Loader:
    """A loader of a set, for training or for evaluation.

    Args:
        samples: in memory, or image files.
        batch_size: samples in a batch.
        transforms: of samples in memory.
        augmented: whether samples go through the training transform.
        training: shuffle them, and leave out a last batch that is not full.
        seed: of the order and the augmentation.
        device: where the batches go.
    """
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
        samples.images,
        samples.targets,
        batch_size,
        seed=seed,
        transform=transforms.training if augmented else transforms.evaluation,
        eval_transform=transforms.evaluation,
        shuffle=training,
        drop_last=training,
        device=device,
    )
