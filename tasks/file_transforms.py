"""The usual transforms of photographs, from a PIL image to a tensor."""

from __future__ import annotations

import math
from collections.abc import Callable

from PIL import Image
from torch import Tensor

from metaloss.shim import import_torchvision

from .transforms import STATISTICS

PILTransform = Callable[[Image.Image], Tensor]
"""Maps a colour image to a model's input. Randomness in it must come from torch's generator."""


def crop_and_flip_files(size: int) -> PILTransform:
    """Return the usual training transform: scale, random crop, random flip, normalise.

    Args:
        size: height and width of the result.
    """
    transforms = import_torchvision().transforms
    return _photograph(size, transforms.RandomCrop(size), transforms.RandomHorizontalFlip())


def centre_crop_files(size: int) -> PILTransform:
    """Return the usual evaluation transform: scale, centre crop, normalise.

    Args:
        size: height and width of the result.
    """
    return _photograph(size, import_torchvision().transforms.CenterCrop(size))


def _photograph(size: int, *crop: Callable[[Image.Image], Image.Image]) -> PILTransform:
    transforms = import_torchvision().transforms
    scale = transforms.Resize(math.ceil(size * 8 / 7))
    normalise = transforms.Normalize(*STATISTICS["imagenet"])
    return transforms.Compose([scale, *crop, transforms.ToTensor(), normalise])
