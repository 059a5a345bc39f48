"""The data to predict, in batches: image files, lists of them, and arrays."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metaloss.checks import InputError, require
from metaloss.files import user_path
from metaloss.inputs import Inputs
from metaloss.predict.arrays import Arrays, load_array
from metaloss.predict.chunks import Chunk, Skipped
from metaloss.tasks.csv_files import CsvFile, read_csv
from metaloss.tasks.decoding import shown
from metaloss.tasks.described import file_reader
from metaloss.tasks.listings import EXTENSIONS, images_below
from metaloss.tasks.own_tables import ID, PATH, numbers

Source: TypeAlias = str | Path | npt.NDArray[Any] | Tensor
"""What can be predicted: the path of a file or a folder, or an array."""

_ARRAYS = (".npy", ".npz")
_TABLES = (".csv", ".tsv")


def open_data(source: Source, inputs: Inputs) -> Data:
    """Find the samples to predict; none is read yet.

    Args:
        source: an image file; a folder of image files, in any folders below it; a CSV file with a
            column ``path``, relative to its folder, or with the columns of features that the run
            was trained on; a NumPy file ``.npy``, or ``.npz`` with an
            array ``inputs`` or ``x``; or an array.
        inputs: how the network's inputs are made.

    Raises:
        InputError: there is no such file or folder, no image is in it, or it does not go with the
            inputs.
    """
    if isinstance(source, np.ndarray | Tensor):
        values = source.detach().cpu().numpy() if isinstance(source, Tensor) else source
        return Arrays("data", values, inputs)
    path = user_path(source)
    require(
        path.exists(),
        f"{shown(path)}: expected images or arrays to predict, found no such file or folder",
    )
    if path.suffix.lower() in _ARRAYS and path.is_file():
        return Arrays(shown(path), load_array(path), inputs)
    table = read_csv(path) if path.suffix.lower() in _TABLES and path.is_file() else None
    if table is not None and inputs.columns is not None:
        rows = numbers(table, inputs.columns, finite=False).numpy()
        ids = tuple(table.column(ID)) if ID in table.header else None
        return Arrays(shown(path), rows, inputs, ids=ids)
    require(
        inputs.kind != "features",
        f"{shown(path)}: expected arrays in a file {' or '.join(_ARRAYS)}, since the run was "
        f"trained on arrays of the shape {list(inputs.sample_shape or ())}",
    )
    read = file_reader(inputs)
    if path.is_dir():
        files = sorted(images_below(path))
        require(
            len(files) > 0,
            f"{shown(path)}: expected images, found none; their names end in "
            f"{', '.join(EXTENSIONS)}",
        )
        return Images(shown(path), files, files, read)
    if table is not None:
        names = _paths(table)
        return Images(shown(path), names, [str(path.parent / name) for name in names], read)
    return Images(shown(path), [str(path)], [str(path)], read)


def _paths(table: CsvFile) -> list[str]:
    paths = table.column(PATH)
    for path, line in zip(paths, table.lines, strict=True):
        require(path != "", f"{table.place}, line {line}: expected the path of an image, got none")
    return paths


@dataclass(frozen=True)
class Images:
    """Image files.

    Attributes:
        name: what they are called in messages.
        names: their names in the output.
        files: their paths.
        read: reads one file, or raises an :class:`~metaloss.InputError`.
    """

    name: str
    names: Sequence[str]
    files: Sequence[str]
    read: Callable[[str], Tensor]
    column: str = "path"

    @property
    def total(self) -> int:
        """The number of files."""
        return len(self.files)

    def chunks(self, size: int) -> Iterator[Chunk]:
        """Read so many files at a time, in several threads."""
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for start in range(0, self.total, size):
                chosen = slice(start, start + size)
                names = self.names[chosen]
                found = list(pool.map(self._sample, self.files[chosen]))
                both = list(zip(names, found, strict=True))
                samples = [sample for sample in found if isinstance(sample, Tensor)]
                yield Chunk(
                    [name for name, sample in both if isinstance(sample, Tensor)],
                    torch.stack(samples) if samples else None,
                    [Skipped(name, said) for name, said in both if isinstance(said, str)],
                )

    def _sample(self, file: str) -> Tensor | str:
        """Return the sample, or why there is none."""
        if not os.path.isfile(file):  # noqa: PTH113 - a Path for each file is slower
            return f"{shown(file)}: expected an image, found no such file"
        try:
            return self.read(file)
        except InputError as error:
            return str(error)


Data: TypeAlias = Arrays | Images
"""Samples that are read in parts, so that memory does not grow with their number."""
