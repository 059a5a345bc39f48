"""Image files decoded to one uint8 tensor."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps
from torch import Tensor

from metaloss.checks import InputError, require

from .pixels import MODES, as_shown

DECODING = 2
"""Which way of decoding this is: pixels kept from another are not these."""

_CHUNK = 128  # files a thread takes at a time: handing over each costs as much as a small image
_MUCH = 2**30  # bytes to ask for only after a look at every file's header


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
        InputError: a file cannot be read as an image, or is of another size; or the images do not
            fit in memory.
    """
    width, height = (size, size) if size is not None else open_image(files[0], channels).size
    shape = (len(files), channels, height, width)
    if size is None and math.prod(shape) > _MUCH:
        for file in files:
            declared = _declared_size(file)
            if sorted(declared) != sorted((width, height)):  # it may be turned when it is read
                _check_size(file, declared, (width, height), files[0])
    try:
        images = np.empty(shape, dtype=np.uint8)
    except MemoryError:
        raise InputError(
            f"{shown(files[0])}: expected images that fit in memory, got {len(files)} of "
            f"{width}x{height} pixels, {math.prod(shape) / 2**30:.0f} GiB; give a smaller size to "
            "scale them to, or read them as they are needed: image_files"
        ) from None

    def fill(position: int) -> None:
        image = open_image(files[position], channels)
        if size is not None and image.size != (size, size):
            image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
        _check_size(files[position], image.size, (width, height), files[0])
        pixels = np.asarray(image).reshape(height, width, channels)
        images[position] = pixels.transpose(2, 0, 1)

    def fill_chunk(start: int) -> None:
        for position in range(start, min(start + _CHUNK, len(files))):
            fill(position)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill_chunk, range(0, len(files), _CHUNK)))  # raises what a thread raised
    return torch.from_numpy(images)


def open_image(path: str | Path, channels: int) -> Image.Image:
    """Read one image file, as :func:`~metaloss.tasks.pixels.as_shown` says.

    Args:
        path: where from.
        channels: 3 for colour, 1 for grey.

    Raises:
        InputError: it is not there, cannot be read as an image, has pixels of no known range, or
            more of them than ``PIL.Image.MAX_IMAGE_PIXELS``.
    """
    try:
        with Image.open(path) as image:
            most = Image.MAX_IMAGE_PIXELS
            if most is not None and math.prod(image.size) > most:
                raise Image.DecompressionBombError(_too_large(image))
            return as_shown(image, channels)
    except InputError as error:
        raise InputError(f"{shown(path)}: {error}") from None
    except Exception as error:  # PIL's decoders raise whatever a damaged file makes them raise
        raise _unreadable(path, error) from error


def check_channels(channels: int) -> None:
    """Raise :class:`InputError` unless images can be read with so many channels."""
    require(channels in MODES, f"channels: expected 1 (grey) or 3 (colour), got {channels!r}")


def shown(path: str | Path) -> str:
    r"""A path as a message can have it: bytes of a name that is not UTF-8 are written as ``\xe9``.

    Example:
        >>> import os
        >>> from metaloss.tasks.decoding import shown
        >>> print(shown(os.fsdecode(b"caf\xe9.png")))
        caf\xe9.png
    """
    return os.fsencode(path).decode(errors="backslashreplace")


def _check_size(file: str, size: tuple[int, int], expected: tuple[int, int], first: str) -> None:
    require(
        size == expected,
        f"{shown(file)}: expected {expected[0]}x{expected[1]} pixels as in {shown(first)}, "
        f"got {size[0]}x{size[1]}; give a size to scale them to",
    )


def _declared_size(file: str) -> tuple[int, int]:
    try:
        with Image.open(file) as image:
            return image.size
    except Exception as error:
        raise _unreadable(file, error) from error


def _too_large(image: Image.Image) -> str:
    return (
        f"{image.size[0]}x{image.size[1]} pixels are more than the {Image.MAX_IMAGE_PIXELS:,} of "
        "PIL.Image.MAX_IMAGE_PIXELS"
    )


def _unreadable(path: str | Path, error: Exception) -> InputError:
    said = str(error) or type(error).__name__
    return InputError(f"{shown(path)}: expected an image, cannot read it: {said}")
