"""Decoding of image files into one uint8 tensor."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps
from torch import Tensor

from metaloss.checks import InputError, require

from .pixels import MODES, as_shown

DECODING = 2
"""The version of the decoding. Cached pixels of another version are decoded again."""

_CHUNK = 128  # files per thread and turn: handing over one costs as much as a small image


def decode(
    files: Sequence[str],
    channels: int,
    size: int | None,
    threads: int,
    unreadable: dict[int, str] | None = None,
) -> UInt8[Tensor, "files channels height width"]:
    """Decode image files in a pool of threads; PIL releases the interpreter lock.

    Args:
        files: their paths.
        channels: 3 for colour, 1 for grey.
        size: height and width of the result. Each image is scaled to cover the square and cropped
            at its centre. If not given, all images must have the size of the first that can be
            read.
        threads: number of threads.
        unreadable: files that cannot be read are left out, and the reason is put here, by the
            file's position. By default, the first such file is an error.

    Returns:
        The images, uint8.

    Raises:
        InputError: a file cannot be read as an image or has another size, or the images do not fit
            in memory.
    """
    first, (width, height) = (
        (files[0], (size, size))
        if size is not None
        else _first_that_opens(files, channels, strict=unreadable is None)
    )
    shape = (len(files), channels, height, width)
    try:
        images = np.empty(shape, dtype=np.uint8)
    except MemoryError:
        raise InputError(
            f"{shown(files[0])}: expected images that fit in memory, got {len(files)} of "
            f"{width}x{height} pixels, {math.prod(shape) / 2**30:.0f} GiB; give a smaller size to "
            "scale them to, or read them as they are needed: image_files"
        ) from None

    def fill(position: int) -> None:
        try:
            image = open_image(files[position], channels)
        except InputError as error:
            if unreadable is None:
                raise
            unreadable[position] = str(error)
            return
        if size is not None:
            image = covering(image, width, height)
        _check_size(files[position], image.size, (width, height), first)
        images[position] = _pixels(image, channels)

    def fill_chunk(start: int) -> None:
        for position in range(start, min(start + _CHUNK, len(files))):
            fill(position)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill_chunk, range(0, len(files), _CHUNK)))  # list() raises a thread's error
    if unreadable:
        images = np.delete(images, list(unreadable), axis=0)
    return torch.from_numpy(images)


def decode_one(
    file: str | Path, shape: tuple[int, int, int]
) -> UInt8[Tensor, "channels height width"]:
    """Decode one image file as :func:`decode` does, to this size.

    Args:
        file: its path.
        shape: channels, height and width of the result. The image is scaled to cover the rectangle
            and cropped at its centre.

    Raises:
        InputError: the file cannot be read as an image.
    """
    channels, height, width = shape
    image = covering(open_image(file, channels), width, height)
    return torch.from_numpy(_pixels(image, channels).copy())


def covering(image: Image.Image, width: int, height: int) -> Image.Image:
    """Return an image scaled to cover a rectangle and cropped at its centre.

    An image of that size is returned as it is.
    """
    if image.size == (width, height):
        return image
    return ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)


def open_image(path: str | Path, channels: int) -> Image.Image:
    """Read one image file, with 8 bits a channel: see :func:`~metaloss.tasks.pixels.as_shown`.

    Args:
        path: the file.
        channels: 3 for colour, 1 for grey.

    Raises:
        InputError: the file does not exist or is not an image, its pixels have no known range, or
            it has more pixels than ``PIL.Image.MAX_IMAGE_PIXELS``.
    """
    try:
        with Image.open(path) as image:
            most = Image.MAX_IMAGE_PIXELS
            if most is not None and math.prod(image.size) > most:
                width, height = image.size
                raise InputError(
                    f"expected an image, cannot read it: {width}x{height} pixels are more than the "
                    f"{most:,} of PIL.Image.MAX_IMAGE_PIXELS"
                )
            return as_shown(image, channels)
    except InputError as error:
        raise InputError(f"{shown(path)}: {error}") from None
    except Exception as error:  # for a damaged file, PIL's decoders may raise anything
        said = str(error) or type(error).__name__
        raise InputError(f"{shown(path)}: expected an image, cannot read it: {said}") from error


def check_channels(channels: int) -> None:
    """Raise :class:`InputError` unless images can be decoded to this number of channels."""
    require(channels in MODES, f"channels: expected 1 (grey) or 3 (colour), got {channels!r}")


def shown(path: str | Path) -> str:
    r"""Return a path for a message, with bytes that are not UTF-8 written like ``\xe9``.

    Example:
        >>> import os
        >>> from metaloss.tasks.decoding import shown
        >>> print(shown(os.fsdecode(b"caf\xe9.png")))
        caf\xe9.png
    """
    return os.fsencode(path).decode(errors="backslashreplace")


def _pixels(image: Image.Image, channels: int) -> npt.NDArray[np.uint8]:
    """Return the pixels of an image, uint8, ``[channels, height, width]``."""
    return np.asarray(image).reshape(image.height, image.width, channels).transpose(2, 0, 1)


def _first_that_opens(
    files: Sequence[str], channels: int, *, strict: bool
) -> tuple[str, tuple[int, int]]:
    """Return the first image file that can be read, and the size of the image; of none, (0, 0)."""
    for file in files:
        try:
            return file, open_image(file, channels).size
        except InputError:  # noqa: PERF203 - nearly always it is the first
            if strict:
                raise
    return files[0], (0, 0)


def _check_size(file: str, size: tuple[int, int], expected: tuple[int, int], first: str) -> None:
    require(
        size == expected,
        f"{shown(file)}: expected {expected[0]}x{expected[1]} pixels as in {shown(first)}, "
        f"got {size[0]}x{size[1]}; give a size to scale them to",
    )
