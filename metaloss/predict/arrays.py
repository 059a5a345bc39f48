"""Arrays to predict, in memory or in NumPy's files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from metaloss.checks import require
from metaloss.inputs import Inputs
from metaloss.predict.chunks import Chunk, Skipped
from metaloss.tasks.own_arrays import INPUTS
from metaloss.user_errors import as_input_error

NAMES = INPUTS
"""The names that the array can have in a file ``.npz``."""


def load_array(path: Path) -> npt.NDArray[Any]:
    """Return the array in a file of NumPy; one of ``.npy`` is read when it is needed.

    Args:
        path: a file ``.npy``, or ``.npz`` with an array ``inputs`` or ``x``.

    Raises:
        InputError: it is no such file, or holds no such array.
    """
    with as_input_error(f"{path}: expected a file of NumPy with numbers"):
        if path.suffix.lower() == ".npy":
            return np.load(path, mmap_mode="r", allow_pickle=False)
        # NumPy does not close a damaged file that it has opened itself.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            names = held.files
            found = [held[name] for name in names if name.lower() in NAMES]
    require(
        len(found) == 1,
        f"{path}: expected one array named {' or '.join(NAMES)}, got {', '.join(names) or 'none'}",
    )
    return found[0]


@dataclass(frozen=True)
class Arrays:
    """Samples in an array.

    Attributes:
        name: what it is called in messages.
        values: uint8 images or features, ``[samples, ...]``.
        inputs: how the network's inputs are made.
        ids: the names of the samples; by default, their positions.

    Raises:
        InputError: the array has another shape or another type than the samples of the run.
    """

    name: str
    values: npt.NDArray[Any]
    inputs: Inputs
    column: str = "id"
    ids: Sequence[str] | None = None

    def __post_init__(self) -> None:
        """Put the channels of images first; check the shape and the type."""
        shape = list(self.inputs.sample_shape or ())
        if self.inputs.kind != "features" or len(shape) == 3:  # numbers may be images, too
            object.__setattr__(self, "values", _channels_first(self.values, shape))
        found = list(self.values.shape)
        require(
            len(found) == len(shape) + 1 and found[1:] == shape,
            f"{self.name}: expected an array [samples, {', '.join(map(str, shape))}], got {found}",
        )
        require(self.total > 0, f"{self.name}: expected one sample or more, got none")
        kind = self.values.dtype
        fits = kind.kind in "fiub" if self.inputs.kind == "features" else kind == np.uint8
        wanted = "numbers" if self.inputs.kind == "features" else "uint8 images, pixels 0 to 255"
        require(fits, f"{self.name}: expected {wanted}, got {kind}")

    @property
    def total(self) -> int:
        """The number of samples."""
        return len(self.values)

    def chunks(self, size: int) -> Iterator[Chunk]:
        """Read so many samples at a time."""
        for start in range(0, self.total, size):
            chosen = range(start, min(start + size, self.total))
            ids = chosen if self.ids is None else [self.ids[i] for i in chosen]
            chunk = self.values[start : start + size]
            if self.inputs.dtype is None:
                yield Chunk(ids, torch.from_numpy(np.array(chunk)))
                continue
            samples = torch.from_numpy(np.array(chunk, dtype=np.float64))
            samples = samples.to(getattr(torch, self.inputs.dtype))
            finite = samples.isfinite().flatten(1).all(dim=1)
            bad = [ids[i] for i in (~finite).nonzero().flatten().tolist()]
            said = f"{self.name}, sample {{}}: expected finite numbers, got NaN or infinity"
            good = [ids[i] for i in finite.nonzero().flatten().tolist()]
            yield Chunk(
                good,
                samples[finite] if good else None,
                [Skipped(i, said.format(i)) for i in bad],
            )


def _channels_first(values: npt.NDArray[Any], shape: list[int]) -> npt.NDArray[Any]:
    """Return images with their channels before height and width; nothing is copied."""
    height_width = shape[1:]
    if list(values.shape[1:]) == shape:
        return values
    if list(values.shape[1:]) == height_width and shape[0] == 1:
        return values[:, None]
    if list(values.shape[1:]) == [*height_width, shape[0]]:
        return values.transpose(0, 3, 1, 2)
    return values
