"""CSV files that name images."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from metaloss.checks import InputError, require
from metaloss.tasks.decoding import shown

COLUMN = "path"
_DELIMITERS = ",;\t"


def listed_images(table: Path) -> list[str]:
    """Return the column ``path`` of a CSV file.

    Columns are separated by commas, semicolons or tabs. A byte order mark is skipped, and so are
    empty lines.

    Args:
        table: the file.

    Raises:
        InputError: it is not UTF-8, has no such column, or has a line without a path.
    """
    name = shown(table)
    try:
        text = table.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(
            f"{name}: expected text in UTF-8, got other bytes in line {line}; save it as "
            "'CSV UTF-8'"
        ) from None
    rows = _rows(text, name)
    _, titles = next(rows, (0, []))
    require(
        COLUMN in titles,
        f"{name}: expected a column {COLUMN!r} in the first line, got "
        f"{', '.join(map(repr, titles)) or 'nothing'}",
    )
    column = titles.index(COLUMN)
    paths = []
    for line, row in rows:
        path = row[column] if column < len(row) else ""
        require(path != "", f"{name}, line {line}: expected the path of an image, got none")
        paths.append(path)
    require(len(paths) > 0, f"{name}: expected paths of images, got none below the first line")
    return paths


def _rows(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines that are not empty, each with its number, cut by the first line's sign."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    sign = max(_DELIMITERS, key=lambda each: _fits(first, each))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=sign)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise InputError(
            f"{name}, line {reader.line_num}: expected a line of CSV: {error}"
        ) from None


def _fits(first: str, sign: str) -> tuple[bool, int]:
    """Return how well a sign cuts the first line into titles."""
    try:
        titles = [cell.strip() for cell in next(csv.reader([first], delimiter=sign), [])]
    except csv.Error:
        return False, 0
    return COLUMN in titles, len(titles)
