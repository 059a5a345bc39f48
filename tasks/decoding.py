"""Image files decoded to one uint8 tensor."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps
from torch import Tensor

from metaloss.checks import InputError, require

_MODES = {1: "L", 3: "RGB"}
_CHUNK = 128  # files a thread takes at a time: handing over each costs as much as a small image


def decode(
    files: Sequence[str], channels: int, size: int | None, threads: int
) -> UInt8[Tensor, "files channels height width"]:
    """Decode image files with a pool of threads (PIL lets them run side by side).

    Args:
        files: their paths.
        channels: 3 for colour, 1 for grey.
        size: height and width of the result: each image is scaled to cover the square and cropped
            at its centre. If not given, all have to have the size of the first.
        threads: how many.

    Returns:
        The images, uint8.

    Raises:
        InputError: a file cannot be read as an image, or is of another size.
    """
    width, height = (size, size) if size is not None else open_image(files[0], channels).size
    images = np.empty((len(files), channels, height, width), dtype=np.uint8)

    def fill(position: int) -> None:
        image = open_image(files[position], channels)
        if size is not None and image.size != (size, size):
            image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
        require(
            image.size == (width, height),
            f"{files[position]}: expected {width}x{height} pixels as in {files[0]}, "
            f"got {image.size[0]}x{image.size[1]}; give a size to scale them to",
        )
        pixels = np.asarray(image).reshape(height, width, channels)
        images[position] = pixels.transpose(2, 0, 1)

    def fill_chunk(start: int) -> None:
        for position in range(start, min(start + _CHUNK, len(files))):
            fill(position)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill_chunk, range(0, len(files), _CHUNK)))  # raises what a thread raised
    return torch.from_numpy(images)


def open_image(path: str | Path, channels: int) -> Image.Image:
    """Read one image file.

    Args:
        path: where from.
        channels: 3 for colour, 1 for grey.

    Raises:
        InputError: it is not there or cannot be read as an image.
    """
    try:
        with Image.open(path) as image:
            return image.convert(_MODES[channels])
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: expected an image, cannot read it: {error}") from error


def check_channels(channels: int) -> None:
    """Raise :class:`InputError` unless images can be read with so many channels."""
    require(channels in _MODES, f"channels: expected 1 (grey) or 3 (colour), got {channels!r}")
