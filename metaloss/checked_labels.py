"""The labels that somebody checked, as they are written into ``labels.csv``."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from metaloss.checks import InputError, require

CHECKED = "checked_label"
"""The column of right labels, empty for samples that nobody looked at."""

_NAMES = ("path", "id")
_DELIMITERS = (",", ";", "\t")  # as programs for tables write them


def checked_labels(path: Path) -> dict[str, str] | None:
    r"""Return the right labels that somebody has written to a ``labels.csv``.

    Args:
        path: the file, as ``metaloss fit`` writes it and programs for tables save it.

    Returns:
        The right labels by the names of their samples; ``None`` if there is no such file, or it has
        no column of them.

    Raises:
        InputError: the file cannot be read as a table, a row has another number of cells than the
            header, or a sample has two right labels.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from metaloss.checked_labels import checked_labels
        >>> path = Path(tempfile.mkdtemp()) / "labels.csv"
        >>> _ = path.write_text("id,given_label,checked_label\n7,cat,dog\n8,cat,\n")
        >>> checked_labels(path)
        {'7': 'dog'}
    """
    if not path.is_file():
        return None
    # Names of files may be of any bytes.
    text = path.read_bytes().decode("utf-8-sig", errors="surrogateescape")
    delimiter = max(_DELIMITERS, key=text.split("\n", 1)[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        rows = [(row, reader.line_num) for row in reader if any(row)]
    except csv.Error as error:
        raise InputError(
            f"{path}: expected a table with checked labels, cannot read it: {error}; correct it, "
            "or move it away"
        ) from None
    header = [title.strip() for title in rows[0][0]] if rows else []
    names = [title for title in _NAMES if title in header]
    if CHECKED not in header or not names:
        return None
    name, right = header.index(names[0]), header.index(CHECKED)
    found: dict[str, str] = {}
    for row, line in rows[1:]:
        if len(row) == right == len(header) - 1:
            continue  # Excel leaves out empty cells of the last column
        require(
            len(row) == len(header),
            f"{path}, line {line}: expected {len(header)} cells as in the header, got "
            f"{len(row)}; correct the line, so that no checked label is lost",
        )
        label = row[right].strip()
        if label:
            known = found.setdefault(row[name], label)
            require(
                known == label,
                f"{path}, line {line}: expected one right label for each sample, got {known!r} and "
                f"{label!r} for {row[name]!r}",
            )
    return found
