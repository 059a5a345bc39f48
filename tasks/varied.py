"""Data sets made harder: images rotated, shifted, scaled and inverted at random."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F

from metaloss.checks import InputError, check_at_least, check_in_range, require, seen
from metaloss.seeding import generator

from .image_set import ImageSet
from .sources import Source

_AT_A_TIME = 1000


def varied(
    *,
    data: Source[ImageSet] | Callable[[], Source[ImageSet]],
    turn: float = 45.0,
    shift: float = 0.1,
    zoom: float = 1.3,
    invert: float = 0.5,
    size: int | None = None,
    seed: int = 0,
) -> Source[ImageSet]:
    """Rotate, shift and scale each image of a data set at random, and invert some.

    This is not augmentation: each image is changed once and then stays the same. The varied data
    set is learned more slowly, and a label that the network disagrees with is more often right. An
    adjuster can learn both cases from a data set and its varied copy.

    Args:
        data: a source of uint8 images, or a function that returns one.
        turn: the largest rotation, in degrees, in either direction.
        shift: the largest shift, as a fraction of the image's side, in either direction; in [0, 1].
        zoom: the largest factor of scaling up or down; at least 1.
        invert: the probability that an image's pixels are inverted; in [0, 1].
        size: height and width of the result; by default, those of the images. Images are sampled
            at the new grid without smoothing.
        seed: the seed of the random draws.

    Raises:
        InputError: an argument is out of range, or the samples are not uint8 images in memory.

    Example:
        >>> from metaloss.tasks import digits, varied
        >>> varied(data=digits, invert=1.0).train.name
        'digits, varied'
    """
    check_in_range("turn", turn, 0.0, 180.0)
    check_in_range("shift", shift, 0.0, 1.0)
    require(zoom >= 1, f"zoom: expected at least 1, got {zoom}")
    check_in_range("invert", invert, 0.0, 1.0)
    check_at_least("size", 1 if size is None else size, 1)
    source = data() if callable(data) else data

    def part(name: str, samples: ImageSet) -> ImageSet:
        whole = samples.images if isinstance(samples, ImageSet) else samples
        if not isinstance(whole, torch.Tensor) or whole.dtype != torch.uint8:
            got = seen(whole) if isinstance(whole, torch.Tensor) else type(whole).__name__
            raise InputError(f"{samples.name}: expected uint8 images in memory to vary, got {got}")
        draws, count = generator(seed, "varied", name), len(samples)

        def either_way(most: float) -> torch.Tensor:
            return most * (2 * torch.rand(count, generator=draws) - 1)

        angle = either_way(math.radians(turn))
        scale = either_way(math.log(zoom)).exp()
        x, y = either_way(2 * shift), either_way(2 * shift)  # a side is 2 units, from -1 to 1
        cos, sin = angle.cos() * scale, angle.sin() * scale
        maps = torch.stack([cos, -sin, x, sin, cos, y], dim=1).view(count, 2, 3)
        inverted = torch.rand(count, generator=draws) < invert
        images = [
            _transformed(whole[rows], maps[rows], inverted[rows], size)
            for rows in (slice(k, k + _AT_A_TIME) for k in range(0, count, _AT_A_TIME))
        ]
        return replace(samples, images=torch.cat(images), name=f"{samples.name}, varied")

    parts = {"train": source.train, "test": source.test, "clean": source.clean}
    made = {name: part(name, samples) for name, samples in parts.items() if samples}
    return replace(source, train=made["train"], test=made.get("test"), clean=made.get("clean"))


def _transformed(
    images: torch.Tensor, maps: torch.Tensor, inverted: torch.Tensor, size: int | None
) -> torch.Tensor:
    sides = images.shape[2:] if size is None else (size, size)
    grid = F.affine_grid(maps, [*images.shape[:2], *sides], align_corners=False)
    seen = F.grid_sample(images.float(), grid, align_corners=False).round().to(torch.uint8)
    return torch.where(inverted.view(-1, 1, 1, 1), 255 - seen, seen)
