"""The usual transforms of photographs, from a PIL image to a tensor."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from PIL import Image
from torch import Tensor

from metaloss.shim import import_torchvision

from .transforms import STATISTICS

PILTransform = Callable[[Image.Image], Tensor]
"""Maps a colour image to a model's input. Randomness in it must come from torch's generator."""


@dataclass(frozen=True)
class Scaled:
    """A transform of image files without randomness: scale, centre crop, normalise.

    Attributes:
        size: height and width of the result.
        resize: ``"shorter-side"`` to keep the ratio of the sides, ``"square"`` to change it.
    """

    size: int
    resize: str

    @property
    def scale(self) -> int:
        """The side in pixels that the image is scaled to before it is cropped."""
        return math.ceil(self.size * 8 / 7)

    @cached_property
    def _steps(self) -> PILTransform:
        transforms = import_torchvision().transforms
        to = self.scale if self.resize == "shorter-side" else (self.scale, self.scale)
        return _transform(transforms.Resize(to), transforms.CenterCrop(self.size))

    def __call__(self, image: Image.Image) -> Tensor:
        """Return the network's input, ``[3, size, size]``."""
        return self._steps(image)


def crop_and_flip_files(size: int, *, flip: bool = True) -> PILTransform:
    """Return the usual training transform: scale, random crop, random flip, normalise.

    Args:
        size: height and width of the result.
        flip: whether to flip half of the images left to right.
    """
    transforms = import_torchvision().transforms
    scale = transforms.Resize(math.ceil(size * 8 / 7))
    flips = [transforms.RandomHorizontalFlip()] if flip else []
    return _transform(scale, transforms.RandomCrop(size), *flips)


def centre_crop_files(size: int) -> Scaled:
    """Return the usual evaluation transform: scale, centre crop, normalise.

    Args:
        size: height and width of the result.
    """
    return Scaled(size, "shorter-side")


def squared_files(size: int) -> Scaled:
    """Return a transform without randomness: scale to a square, centre crop, normalise.

    Unlike :func:`centre_crop_files`, it changes the ratio of the sides: the paper resizes images of
    Clothing1M to 256x256 and crops 224x224 at the centre (Section 4.4).

    Args:
        size: height and width of the result; those of the square are 8/7 of it.
    """
    return Scaled(size, "square")


def _transform(*steps: Callable[[Image.Image], Image.Image]) -> PILTransform:
    transforms = import_torchvision().transforms
    normalise = transforms.Normalize(*STATISTICS["imagenet"])
    return transforms.Compose([*steps, transforms.ToTensor(), normalise])
