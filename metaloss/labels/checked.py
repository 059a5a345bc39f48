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


def checked_labels(path: Path) -> dict[str, str]:
    r"""Return the right labels that somebody has written to a ``labels.csv``.

    Args:
        path: the file.

    Returns:
        The right labels by the names of their samples; none if there is no such file or it has no
        column of them.

    Raises:
        InputError: the file cannot be read as a table, or a row has another number of cells than
            the header.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from metaloss.labels.checked import checked_labels
        >>> path = Path(tempfile.mkdtemp()) / "labels.csv"
        >>> _ = path.write_text("id,given_label,checked_label\n7,cat,dog\n8,cat,\n")
        >>> checked_labels(path)
        {'7': 'dog'}
    """
    if not path.is_file():
        return {}
    # Names of files may be of any bytes.
    text = path.read_bytes().decode("utf-8-sig", errors="surrogateescape")
    delimiter = max(_DELIMITERS, key=text.split("\n", 1)[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        rows = [(row, reader.line_num) for row in reader if any(row)]
    except csv.Error as error:
        raise InputError(
            f"{path}: expected a table, whose checked labels are kept, cannot read it: {error}; "
            "move it away"
        ) from None
    header = [title.strip() for title in rows[0][0]] if rows else []
    names = [title for title in _NAMES if title in header]
    if CHECKED not in header or not names:
        return {}
    name, right = header.index(names[0]), header.index(CHECKED)
    found = {}
    for row, line in rows[1:]:
        if len(row) == right == len(header) - 1:
            continue  # Excel leaves out empty cells of the last column
        require(
            len(row) == len(header),
            f"{path}, line {line}: expected {len(header)} cells as in the header, got "
            f"{len(row)}; correct it, so that checked labels are kept, or move the file away",
        )
        if row[right].strip():
            found[row[name]] = row[right].strip()
    return found
