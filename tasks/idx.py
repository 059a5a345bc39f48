"""The IDX format of MNIST and Fashion-MNIST."""

from __future__ import annotations

import gzip
import math
import zlib
from io import BufferedIOBase
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from metaloss.checks import InputError, require

_PIECE = 2**20  # bytes to read at a time


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
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            shape = _read_header(file, path, dimensions)
            values = _read_values(file, path, shape)
    except MemoryError:
        raise InputError(f"{path}: expected what fits in memory, got more") from None
    except (OSError, EOFError, zlib.error) as error:
        kind = "a gzip file" if path.suffix == ".gz" else "a file"
        raise InputError(f"{path}: expected {kind}, cannot read it: {error}") from error
    return torch.from_numpy(np.frombuffer(values, dtype=np.uint8).reshape(shape))


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


def _read_header(file: BufferedIOBase, path: Path, dimensions: int) -> list[int]:
    expected = bytes([0, 0, 8, dimensions])  # 8 says unsigned bytes
    header = file.read(4 + 4 * dimensions)
    require(
        header[:4] == expected,
        f"{path}: expected an IDX file of bytes with {dimensions} dimensions "
        f"(it begins {expected.hex()}), got one that begins {header[:4].hex()}",
    )
    require(
        len(header) == 4 + 4 * dimensions,
        f"{path}: expected an IDX header, got {len(header)} bytes",
    )
    shape = np.frombuffer(header, dtype=">u4", offset=4).astype(int).tolist()
    require(min(shape) > 0, f"{path}: expected samples, got a header that says {shape}")
    return shape


def _read_values(file: BufferedIOBase, path: Path, shape: list[int]) -> bytearray:
    """As many bytes as the header says, piece by piece: it may say more than there are, or less."""
    wanted = math.prod(shape)
    values = bytearray()
    while piece := file.read(min(wanted + 1 - len(values), _PIECE)):
        values += piece
    found = "more than that" if len(values) > wanted else str(len(values))
    require(len(values) == wanted, f"{path}: expected {shape} values, got {found}")
    return values
