"""Samples of one's own from a CSV file: paths of images, or columns of numbers."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from metaloss.checks import InputError, require

from .csv_files import CsvFile, read_csv
from .decoding import shown
from .listings import EXTENSIONS
from .own_records import Records

PATH, ID = "path", "id"


def read_table(path: Path, label: str = "label") -> Records:
    """Read a CSV file with a column of labels.

    With a column ``path``, the samples are these images; paths are relative to the file's folder.
    Without, each other column but ``id`` is a feature, and its cells are numbers.

    Args:
        path: the file, as for :func:`~metaloss.tasks.csv_files.read_csv`.
        label: the name of the column of labels.

    Raises:
        InputError: the file cannot be read, a column is missing, images do not exist, or a cell
            that should be a number is none.
    """
    table = read_csv(path)
    require(
        label in table.header,
        f"{path}: expected a column of labels named {label!r} (or as --label says), got "
        f"{', '.join(map(repr, table.header))}",
    )
    labels = tuple(table.column(label))
    if PATH in table.header:
        names = table.column(PATH)
        files = tuple(str(path.parent / name) for name in names)
        check_exist(files, str(path))
        return Records(files, labels, files, str(path))
    features = tuple(name for name in table.header if name not in {label, ID})
    require(
        len(features) > 0,
        f"{path}: expected a column {PATH!r} of images, or columns of numbers, beside {label!r}; "
        "got neither",
    )
    ids = tuple(table.column(ID)) if ID in table.header else tuple(map(str, range(len(labels))))
    return Records(ids, labels, numbers(table, features), str(path), features)


def numbers(table: CsvFile, columns: tuple[str, ...], *, finite: bool = True) -> Tensor:
    """Return columns of a table as numbers.

    Args:
        table: the table.
        columns: the names of the columns.
        finite: refuse cells that are empty, NaN or infinite; if not, an empty cell is NaN.

    Returns:
        ``[rows, columns]``, float32.

    Raises:
        InputError: a column is missing, or a cell is not a number.
    """
    values, wrong = [], []
    for name in columns:
        cells = [_number(cell) for cell in table.column(name)]
        values.append(cells)
        wrong += [(name, i) for i, cell in enumerate(cells) if not math.isfinite(cell)]
    if not finite:
        wrong = [(name, i) for name, i in wrong if not _says_no_number(table.column(name)[i])]
    if wrong:
        name, i = wrong[0]
        cell = table.rows[i][table.header.index(name)]
        hint = "leave such rows or columns out, or replace their cells by numbers"
        if "," in cell and math.isfinite(_number(cell.replace(",", "."))):
            hint = "write a point before decimals"
        elif cell.strip().lower().endswith(EXTENSIONS):
            hint = "if these are paths of images, name the column 'path'"
        raise InputError(
            f"{table.place}: expected numbers in the columns of features, {len(wrong)} cells are "
            f"none, such as {cell!r} in {name!r} on line {table.lines[i]}; {hint}",
        )
    return torch.tensor(values, dtype=torch.float32).T.contiguous()


def check_exist(files: tuple[str, ...], named_by: str) -> None:
    """Raise :class:`InputError` unless all files exist; count those that do not."""
    missing = [file for file in files if not Path(file).is_file()]
    require(
        not missing,
        f"{named_by}: expected {len(files)} images, {len(missing)} of them do not exist, such as "
        f"{shown((missing or [''])[0])}; paths are relative to the file's folder",
    )


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _says_no_number(cell: str) -> bool:
    """Return whether a cell is empty, NaN or infinite, and not a word."""
    try:
        float(cell)
    except ValueError:
        return not cell.strip()
    return True
