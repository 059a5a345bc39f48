"""Paths that people give, and files written so that a reader never meets half of one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from metaloss.checks import InputError, require


def user_path(path: str | Path) -> Path:
    """A path as a person gave it, with ``~`` for the home folder.

    Example:
        >>> from metaloss.files import user_path
        >>> user_path("~/data") == Path.home() / "data"
        True
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path's own fails for an unknown ~name


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write a file whole or not at all: beside its place first, then moved there.

    Example:
        >>> from metaloss.files import write_atomically
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "note.txt"
        >>> write_atomically(path, b"whole")
        >>> path.read_text()
        'whole'
    """
    write_together({Path(path): data})


def write_together(files: Mapping[Path, bytes]) -> None:
    """Write files that belong together, all of them or, if one cannot be written, none.

    Each is whole beside its place before the first is moved there.

    Example:
        >>> from metaloss.files import write_together
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_together({folder / "a": b"1", folder / "b": b"2"})
        >>> sorted(path.name for path in folder.iterdir())
        ['a', 'b']
    """
    beside: dict[Path, Path] = {}
    try:
        for path, data in files.items():
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            beside[path] = Path(name)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            beside[path].chmod(0o666 & ~_umask())
        for path, written in beside.items():
            written.replace(path)
    except BaseException:
        for written in beside.values():
            written.unlink(missing_ok=True)
        raise


def _umask() -> int:
    """What the user takes away from new files; it can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def check_new_folder(path: str | Path) -> Path:
    """Return ``path`` if a new folder can be made there, else raise :class:`InputError`.

    An empty folder will do. Nothing is made.
    """
    path = Path(path)
    if path.exists():
        require(path.is_dir(), f"{path}: expected a place for a new folder, got a file")
        require(
            not any(path.iterdir()),
            f"{path}: expected a new or an empty folder, got one with files in it",
        )
    parent = next(p for p in (path, *path.absolute().parents) if p.exists())
    require(
        parent.is_dir() and os.access(parent, os.W_OK),
        f"{path}: expected a place that can be written to, but {parent} is not",
    )
    return path


def make_folder(path: Path) -> Path:
    """Make a folder and its parents, or raise :class:`InputError`."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot make this folder: {error.strerror}") from None
    return path
