"""Where published data sets are found, and what to download if they are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from metaloss.checks import InputError, require
from metaloss.files import read_text, user_path

from .decoding import shown


@dataclass(frozen=True)
class Publication:
    """A data set that its authors publish in a layout of their own.

    Attributes:
        title: its name.
        folders: the names of the folder that holds it, as unpacked, relative to the user's folder;
            the user's folder itself is tried too.
        holds: the files and folders that must be in it.
        archive: what to download.
        page: the address of the page that it is published on.

    Example:
        >>> from metaloss.tasks.published import Publication
        >>> pets = Publication("Pets", ("pets",), ("cats",), "pets.zip", "example.org")
        >>> pets.find("data")
        Traceback (most recent call last):
            ...
        metaloss.checks.InputError: data: expected Pets, in this folder or in pets in it, but cats \
is missing; download pets.zip from example.org and unpack it here
    """

    title: str
    folders: tuple[str, ...]
    holds: tuple[str, ...]
    archive: str
    page: str

    def find(self, root: str | Path) -> Path:
        """Return the folder that holds the data.

        Args:
            root: the folder that the archive was unpacked in, or the unpacked folder.

        Raises:
            InputError: something is missing; the message says what, and where to get it.
        """
        root = user_path(root)
        places = [root, *(root / name for name in self.folders)]
        lacking = {place: [n for n in self.holds if not (place / n).exists()] for place in places}
        best = min(places, key=lambda place: len(lacking[place]))
        missing = lacking[best]
        if not missing:
            return best
        where = (
            f"in this folder or in {' or '.join(self.folders)} in it"
            if len(missing) == len(self.holds)
            else f"in {best}"
        )
        are = "is" if len(missing) == 1 else "are"
        raise InputError(
            f"{root}: expected {self.title}, {where}, but {', '.join(missing)} {are} missing; "
            f"download {self.archive} from {self.page} and unpack it here"
        )


def read_lines(path: Path, header: str | None = None) -> list[str]:
    """Return the lines of a published list, without empty ones and without a header.

    Args:
        path: the file.
        header: the beginning of a first line that is no entry, if the file may have one.

    Raises:
        InputError: the file is missing, is not text, or has no line.
    """
    lines = [line for line in map(str.strip, read_text(path).splitlines()) if line]
    if header is not None and lines and lines[0].startswith(header):
        lines = lines[1:]
    require(len(lines) > 0, f"{path}: expected a line for each entry, got an empty file")
    return lines


def refuse_others(name: str | Path, expected: str, others: Sequence[str]) -> None:
    """Raise :class:`InputError` if there is anything else than what is expected.

    Args:
        name: the file or the folder, for the message.
        expected: what is expected, for the message.
        others: what else was found.

    Example:
        >>> from metaloss.tasks.published import refuse_others
        >>> refuse_others("labels.txt", "a label in each line", [])
    """
    if others:
        raise InputError(
            f"{shown(name)}: expected {expected}, got {len(others)} others, such as "
            f"{shown(others[0])!r}"
        )


def check_count(name: str | Path, what: str, found: int, published: int) -> None:
    """Raise :class:`InputError` unless there are as many as were published.

    Args:
        name: the file or the folder, for the message.
        what: what is counted.
        found: how many there are.
        published: how many there should be.
    """
    require(
        found == published,
        f"{shown(name)}: expected the {published:,} published {what}, got {found:,}; unpack the "
        "archive again, or read what there is with complete=False",
    )
