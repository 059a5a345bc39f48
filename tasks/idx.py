"""The IDX format of MNIST and Fashion-MNIST."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from metaloss.checks import InputError, require


def read_idx(path: Path, dimensions: int) -> UInt8[Tensor, " *shape"]:
    """Read a file of unsigned bytes, plain or, if its name ends in ``.gz``, compressed.

    Args:
        path: where from.
        dimensions: how many it has to have: 3 for images, 1 for labels.

    Returns:
        Its content, uint8.

    Raises:
        InputError: the file is damaged, of another type, or of another number of dimensions.
    """
    content = _read(path)
    expected = bytes([0, 0, 8, dimensions])  # 8 says unsigned bytes
    require(
        content[:4] == expected,
        f"{path}: expected an IDX file of bytes with {dimensions} dimensions "
        f"(it begins {expected.hex()}), got one that begins {content[:4].hex()}",
    )
    start = 4 + 4 * dimensions
    require(len(content) >= start, f"{path}: expected an IDX header, got {len(content)} bytes")
    shape = np.frombuffer(content, dtype=">u4", count=dimensions, offset=4).astype(int).tolist()
    values = np.frombuffer(content, dtype=np.uint8, offset=start)
    require(
        len(values) == math.prod(shape),
        f"{path}: expected {shape} values, got {len(values)}",
    )
    return torch.from_numpy(values.reshape(shape).copy())


def find_idx(root: Path, name: str) -> Path:
    """The path of an IDX file, in ``root`` or where torchvision puts it, plain or compressed.

    Args:
        root: the data set's folder.
        name: the file's name without ``.gz``.

    Raises:
        InputError: it is in none of these places.
    """
    places = [
        folder / file
        for folder in (root, root / "FashionMNIST" / "raw")
        for file in (name, f"{name}.gz")
    ]
    found = [place for place in places if place.is_file()]
    require(
        len(found) > 0,
        f"{root / name}: expected this file, here or in FashionMNIST/raw, plain or .gz, found none",
    )
    return found[0]


def _read(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix != ".gz":
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: expected a gzip file, cannot read it: {error}") from error
