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
    """Read an IDX file of unsigned bytes, compressed if its name ends in ``.gz``.

    Args:
        path: the file.
        dimensions: the number of dimensions it must have: 3 for images, 1 for labels.

    Returns:
        Its values, uint8.

    Raises:
        InputError: the file is damaged, of another type, or has another number of dimensions.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except MemoryError:
        raise InputError(f"{path}: expected a file that fits in memory, got a larger one") from None
    except (OSError, EOFError, zlib.error) as error:
        kind = "a gzip file" if path.suffix == ".gz" else "a file"
        raise InputError(f"{path}: expected {kind}, cannot read it: {error}") from error
    start = bytes([0, 0, 8, dimensions])  # 8 stands for unsigned bytes
    require(
        content[:4] == start,
        f"{path}: expected an IDX file of bytes with {dimensions} dimensions "
        f"(it begins {start.hex()}), got one that begins {content[:4].hex()}",
    )
    header, values = content[: 4 + 4 * dimensions], content[4 + 4 * dimensions :]
    require(
        len(header) == 4 + 4 * dimensions,
        f"{path}: expected an IDX header, got {len(header)} bytes",
    )
    shape = np.frombuffer(header, dtype=">u4", offset=4).tolist()
    require(min(shape) > 0, f"{path}: expected samples, got a header that says {shape}")
    require(len(values) == math.prod(shape), f"{path}: expected {shape} values, got {len(values)}")
    return torch.frombuffer(bytearray(values), dtype=torch.uint8).view(shape)


def find_idx(root: Path, name: str) -> Path:
    """Return the path of an IDX file, in ``root`` or in torchvision's folder, plain or compressed.

    Args:
        root: the folder of the data set.
        name: the name of the file without ``.gz``.

    Raises:
        InputError: the file is in none of these places.
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
