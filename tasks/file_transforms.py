"""The usual transforms of photographs, from a PIL image to a tensor."""

from __future__ import annotations

import math
from collections.abc import Callable

from PIL import Image
from torch import Tensor

from metaloss.shim import import_torchvision

from .transforms import STATISTICS

PILTransform = Callable[[Image.Image], Tensor]
"""From a colour image to what a model takes; anything random in it draws from torch."""


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
