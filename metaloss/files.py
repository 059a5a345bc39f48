"""Paths given by users, and files that are written atomically."""

from __future__ import annotations

import csv
import io
import os
import re
import secrets
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import IO

from metaloss.checks import InputError, require

_PART = ".part"  # the suffix of a file that is still being written
_BINARY = getattr(os, "O_BINARY", 0)  # Windows would write line feeds as two bytes


def user_path(path: str | Path) -> Path:
    """Return a path with ``~`` expanded to the home folder.

    Example:
        >>> from metaloss.files import user_path
        >>> user_path("~/data") == Path.home() / "data"
        True
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path's own fails for an unknown ~name


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write a file completely or not at all.

    It is written to a temporary file in the same folder, which is then renamed.

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
    """Write several files, or none of them if one cannot be written.

    All are written to temporary files and synced to the disk before the first is renamed.

    Raises:
        OSError: a file cannot be written; the error names it.

    Example:
        >>> from metaloss.files import write_together
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_together({folder / "a": b"1", folder / "b": b"2"})
        >>> sorted(path.name for path in folder.iterdir())
        ['a', 'b']
    """
    with ExitStack() as renames:  # it leaves in reverse order: the first file takes its place first
        for path, data in reversed(list(files.items())):
            file = renames.enter_context(writing_atomically(path))
            with naming(path):
                file.write(data)
                _sync(file)


@contextmanager
def writing_atomically(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file to write to bit by bit; it takes its place when the block ends without an error.

    Raises:
        OSError: the file cannot be written; the error names it.

    Example:
        >>> from metaloss.files import writing_atomically
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "lines.txt"
        >>> with writing_atomically(path) as file:
        ...     for line in (b"1", b"2"):
        ...         _ = file.write(line)
        ...     path.exists()
        False
        >>> path.read_text()
        '12'
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_PART}")
    with naming(path):
        handle = _create(beside)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            with naming(path):
                _sync(file)
        with naming(path):
            beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _create(path: Path) -> int:
    """Create a new file with the permissions of any; those of ``tempfile`` nobody else may read."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())  # otherwise a power cut may leave an empty file


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add this file's name to errors of the operating system; that of a full disk has none.

    Example:
        >>> from metaloss.files import naming
        >>> try:
        ...     with naming(Path("note.txt")):
        ...         raise OSError(28, "No space left on device")
        ... except OSError as error:
        ...     print(error)
        [Errno 28] No space left on device: 'note.txt'
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None:  # otherwise it has a message of its own
            error.filename = str(path)
            del error.filename2  # the target of a rename
        raise


def read_text(path: Path) -> str:
    """Read a text file; raise :class:`InputError` if it is missing or is not text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path}: expected a file of text, got other bytes") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Return rows as CSV, each with a line feed behind it."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def is_part(path: Path) -> bool:
    """Return whether this is a temporary file that :func:`writing_atomically` left behind."""
    return re.fullmatch(rf"\..+\.\w+{re.escape(_PART)}", path.name) is not None


def is_empty(folder: Path, besides: Container[str] = ()) -> bool:
    """Return whether a folder is empty but for temporary files and those named in ``besides``."""
    return all(is_part(path) or path.name in besides for path in folder.iterdir())


def check_new_folder(path: str | Path, besides: Container[str] = ()) -> Path:
    """Return ``path`` if a new folder can be made there, else raise :class:`InputError`.

    An empty folder may exist. Nothing is made.

    Args:
        path: the path of the folder.
        besides: names of files that the folder may contain.
    """
    path = Path(path)
    with _naming_the_file(path):
        if path.exists():
            require(path.is_dir(), f"{path}: expected a place for a new folder, got a file")
            require(
                is_empty(path, besides),
                f"{path}: expected a new or an empty folder, got one with files in it",
            )
    check_place(path)
    return path


def check_place(path: Path) -> None:
    """Raise :class:`InputError` unless a folder can be made at ``path``, or is writable."""
    with _naming_the_file(path):
        parent = next(p for p in (path, *path.absolute().parents) if p.exists())
    require(
        parent.is_dir() and os.access(parent, os.W_OK),
        f"{path}: expected a place that can be written to, but {parent} is not",
    )


def check_file_place(name: str, path: Path) -> None:
    """Raise :class:`InputError` unless a file can be written at ``path``, in a folder that exists.

    Args:
        name: the name of the path in errors.
        path: the place.
    """
    require(not path.is_dir(), f"{name}: expected the name of a file, got the folder {path}")
    require(
        path.parent.is_dir(), f"{name}: expected a file in a folder that exists, got {path.parent}"
    )
    check_place(path.parent)


def make_folder(path: Path) -> Path:
    """Make a folder and its parents, or raise :class:`InputError`."""
    with _naming_the_file(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def make_free_folder(path: Path) -> Path:
    """Make a new folder with this name, or the first free one of ``-2``, ``-3`` and so on.

    Processes that ask for the same name at the same time get different folders.

    Example:
        >>> import tempfile
        >>> from metaloss.files import make_free_folder
        >>> place = Path(tempfile.mkdtemp()) / "run"
        >>> [make_free_folder(place).name for _ in range(3)]
        ['run', 'run-2', 'run-3']
    """
    make_folder(path.parent)
    for number in count(1):
        free = path if number == 1 else path.with_name(f"{path.name}-{number}")
        with _naming_the_file(free), suppress(FileExistsError):
            free.mkdir()
            return free
    raise AssertionError("unreachable")


@contextmanager
def _naming_the_file(path: Path) -> Iterator[None]:
    """Turn an error of the operating system, such as too long a name, into an InputError."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot make this folder: {error.strerror}") from None
