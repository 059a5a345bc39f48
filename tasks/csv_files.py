"""Tables in text files."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import NamedTuple

from metaloss.checks import InputError, require

DELIMITERS = (",", ";", "\t")


class CsvFile(NamedTuple):
    """A table of text with a header.

    Attributes:
        header: the names of the columns.
        rows: the cells of each row, as many as there are columns; empty lines are left out.
        lines: the number of the line on which each row ends, from 2.
        place: the file's path, for messages.
    """

    header: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    place: str

    def column(self, name: str) -> list[str]:
        """Return the cells of a column, without spaces around them.

        Raises:
            InputError: there is no such column.
        """
        require(
            name in self.header,
            f"{self.place}: expected a header with the column {name!r}, got "
            f"{', '.join(map(repr, self.header))}",
        )
        at = self.header.index(name)
        return [row[at].strip() for row in self.rows]


def read_csv(path: Path) -> CsvFile:
    r"""Read a file of comma-separated values; semicolons and tabs may separate them, too.

    Args:
        path: the file, in UTF-8, with or without a byte order mark. Its first line names the
            columns.

    Raises:
        InputError: the file does not exist or is not UTF-8, two columns have the same name, there
            is no row, or a row has another number of cells than the header.

    Example:
        >>> import tempfile
        >>> from metaloss.tasks.csv_files import read_csv
        >>> path = Path(tempfile.mkdtemp()) / "pets.csv"
        >>> _ = path.write_text("path;label\na.jpg;cat\n")
        >>> read_csv(path).column("label")
        ['cat']
    """
    text = _text(path)
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(DELIMITERS, key=lambda sign: _titles(first, sign))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows, lines = [], []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise InputError(
            f"{path}: expected a table, line {reader.line_num} cannot be read: {error}"
        ) from None
    require(len(rows) > 0, f"{path}: expected a header and rows, got an empty file")
    header = tuple(name.strip() for name in rows[0])
    require(
        all(header),
        f"{path}: expected a name for each column, column {(*header, '').index('') + 1} of "
        f"{len(header)} has none; if pandas wrote it, write it with to_csv(..., index=False)",
    )
    require(
        len(set(header)) == len(header),
        f"{path}: expected a name of its own for each column, got {', '.join(map(repr, header))}",
    )
    require(len(rows) > 1, f"{path}: expected rows below the header, got none")
    for row, line in zip(rows, lines, strict=True):
        require(
            len(row) == len(header),
            f"{path}, line {line}: expected {len(header)} cells as in the header, got {len(row)}",
        )
    return CsvFile(header, rows[1:], lines[1:], str(path))


def _titles(first: str, delimiter: str) -> int:
    """Return into how many titles a delimiter cuts the first line."""
    try:
        return len(next(csv.reader([first], delimiter=delimiter), []))
    except csv.Error:
        return 0


def _text(path: Path) -> str:
    require(path.is_file(), f"{path}: expected a CSV file, found no such file")
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}, line {line}: expected text in UTF-8, got other bytes; save the file as UTF-8 "
            "(in Excel: CSV UTF-8)"
        ) from None
