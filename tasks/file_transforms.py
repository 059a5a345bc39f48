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


def squared_files(size: int) -> PILTransform:
    """Return a transform without randomness: scale to a square, centre crop, normalise.

    Unlike :func:`centre_crop_files`, it changes the ratio of the sides: the paper resizes images of
    Clothing1M to 256x256 and crops 224x224 at the centre (Section 4.4).

    Args:
        size: height and width of the result; those of the square are 8/7 of it.
    """
    transforms = import_torchvision().transforms
    side = math.ceil(size * 8 / 7)
    return _transform(transforms.Resize((side, side)), transforms.CenterCrop(size))


def _photograph(size: int, *crop: Callable[[Image.Image], Image.Image]) -> PILTransform:
    scale = import_torchvision().transforms.Resize(math.ceil(size * 8 / 7))
    return _transform(scale, *crop)


def _transform(*steps: Callable[[Image.Image], Image.Image]) -> PILTransform:
    transforms = import_torchvision().transforms
    normalise = transforms.Normalize(*STATISTICS["imagenet"])
    return transforms.Compose([*steps, transforms.ToTensor(), normalise])
