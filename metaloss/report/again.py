"""A page that is written again when there is more to show."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from metaloss.checks import require
from metaloss.report.page import NAME, write_report


def write_again(folder: Path, components: Iterable[type] = ()) -> Path | None:
    """Write the page in a run's folder again, if there is one.

    Args:
        folder: the folder of an experiment.
        components: classes of the user's own that the adjusters' cards name.

    Returns:
        The page; ``None`` if the folder has none.

    Raises:
        InputError: The page is about other runs too, whose folders are not known here; and as for
            :func:`~metaloss.report.write_report`.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    require(
        '<meta name="folders" content="1">' in path.read_text("utf-8", errors="replace"),
        f"{path}: expected a page about this run alone, got one about several, or no page of "
        "`metaloss report`, which writes it again with all their folders",
    )
    return write_report([folder], components=components)
