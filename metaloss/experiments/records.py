"""A run on disk: its folder, and what goes into it.

.. code-block:: text

    RUN/
      config.gin         what was asked for
      operative.gin      what was used, defaults and all
      results.json       the table
      hyperparameters.png  what the first seed's adjusters learned
      A-GCE/seed-0/
        identity.json    what run it is
        metrics.jsonl    a line an epoch
        checkpoint.pt    the state after the last whole epoch, until the run is done
        checkpoint-before.pt  the same of the checkpoint before
        result.json      the run's figures; there once it is done
        model.safetensors
        adjuster/        where one was learned: adjuster.safetensors and card.json
        samples.safetensors  the margin, loss and hyperparameters of each training sample
"""

from __future__ import annotations

import copy
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from metaloss.checks import InputError, require
from metaloss.experiments.folder_lock import HOLDER, LOCK, FolderLock
from metaloss.experiments.run_records import RunRecords
from metaloss.files import (
    check_new_folder,
    check_place,
    make_folder,
    read_text,
    user_path,
    write_atomically,
)


class RunFolder:
    """The folder of an experiment, written to by one process at a time.

    As a context manager it keeps its lock, once it has one, until the block ends; an experiment
    that runs takes the lock by itself.

    Args:
        path: where it is, or will be; nothing is made before something is written.
        resume: go on in a folder that has runs in it.
        find_free: if something is at ``path`` already, take ``PATH-2``, or the next that is free.

    Raises:
        InputError: the folder has files in it (without ``resume``), has no run in it (with it),
            or cannot be written.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from metaloss.experiments import RunFolder
        >>> place = Path(tempfile.mkdtemp()) / "run"
        >>> for _ in range(2):
        ...     with RunFolder(place, find_free=True) as folder:
        ...         folder.write("notes.txt", "...")
        ...         print(folder.path.name)
        run
        run-2
    """

    def __init__(self, path: str | Path, resume: bool = False, *, find_free: bool = False) -> None:
        place = user_path(path)
        if resume:
            expected = f"{place}: expected the folder of a run to resume"
            require(holds_run(place), f"{expected}, got none with a run")
        elif find_free:
            check_place(place)
        else:
            _check_new(place)
        self._lock = FolderLock(place, resume=resume, find_free=find_free)
        self._inside = Path()

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._lock.path / self._inside

    @property
    def resumed(self) -> bool:
        """Whether it was there, with runs in it."""
        return self._lock.resume

    @property
    def begun(self) -> bool:
        """Whether the folder is there, be it resumed or made by this object."""
        return self._lock.begun

    def __enter__(self) -> RunFolder:
        self._lock.__enter__()
        try:
            if self.resumed:
                self._lock.take()
        except BaseException:
            self._lock.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.__exit__()

    def begin(self, documents: Mapping[str, str] | None = None) -> None:
        """Make the folder and lock it, inside a ``with`` block.

        Args:
            documents: texts to keep in it, by file name.

        Raises:
            InputError: another process writes to it, or has written to it since.
        """
        self._lock.take()
        for name, text in (documents or {}).items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        """Write a text file, whole or not at all.

        Args:
            name: in this folder.
            text: what to write, as UTF-8.
        """
        with self:
            self._lock.take()
            write_atomically(make_folder(self.path) / name, text.encode())

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file, whole or not at all."""
        self.write(name, json.dumps(value, indent=2) + "\n")

    def read(self, name: str) -> str:
        """Read a text file.

        Raises:
            InputError: it is not there, or is no text.
        """
        return read_text(self.path / name)

    def part(self, name: str) -> RunFolder:
        """A folder of the same kind in this one, under the same lock."""
        part = copy.copy(self)
        part._inside = self._inside / name
        return part

    def run(self, method: str, seed: int) -> RunRecords:
        """The folder of one method's run with one seed; nothing is made yet."""
        return RunRecords(self.path / slug(method) / f"seed-{seed}")


def holds_run(path: Path) -> bool:
    """Whether a run was begun in a folder: from a gin file, or from Python with no such file."""
    with suppress(OSError):  # such as a name that is too long
        runs = (run for depth in ("*", "*/*") for run in path.glob(f"{depth}/seed-*"))
        return (path / "config.gin").is_file() or any(runs)
    return False


def _check_new(path: Path) -> None:
    try:
        check_new_folder(path, besides=(LOCK, HOLDER))
    except InputError:
        require(
            not holds_run(path),
            f"{path}: expected a new or an empty folder, got one with a run in it; --resume goes "
            "on with it (from Python: RunFolder(path, resume=True))",
        )
        raise


RESERVED = {
    "config.gin",
    "operative.gin",
    "results.json",
    "meta_training.json",
    LOCK,
    HOLDER,
    "hyperparameters.png",
    "held-out",
}
"""What is in a run's folder beside the methods' or the tasks' folders."""


def check_names(what: str, names: Iterable[str]) -> None:
    """Raise an error unless these are names of one thing each, with folders of their own.

    Args:
        what: what to call them.
        names: one or more.

    Raises:
        InputError: there is none, two make the same folder, or one makes none or one of the run's
            own.

    Example:
        >>> from metaloss.experiments.records import check_names
        >>> check_names("methods", ["GCE", ".."])
        Traceback (most recent call last):
            ...
        metaloss.checks.InputError: methods: expected names with a letter or a digit, got '..'
    """
    by_folder: dict[str, str] = {}
    for name in names:
        folder = slug(name).casefold()  # some file systems do not tell cases apart
        require(
            any(letter.isalnum() for letter in folder),
            f"{what}: expected names with a letter or a digit, got {name!r}",
        )
        length = len(slug(name).encode())
        require(
            length <= 200,  # file systems allow 255, and files are written beside their place first
            f"{what}: expected names that take at most 200 bytes, got {length} in {name[:20]!r}...",
        )
        require(
            folder not in RESERVED,
            f"{what}: expected names other than the run's own files, got {name!r}",
        )
        require(
            folder not in by_folder,
            f"{what}: expected different names, got {name} more than once"
            if by_folder.get(folder) == name
            else f"{what}: expected names of different folders, got {by_folder.get(folder)!r} and "
            f"{name!r}",
        )
        by_folder[folder] = name
    require(len(by_folder) > 0, f"{what}: expected one or more, got none")


def slug(name: str) -> str:
    """A method's name as a folder's: letters and digits of any script, and points.

    Composed, as some file systems do not tell the two ways to write an accent apart.

    Example:
        >>> from metaloss.experiments.records import slug
        >>> slug("A-GCE (margin, average)"), slug("調整 GCE")
        ('A-GCE-margin-average', '調整-GCE')
    """
    kept = (
        letter if letter == "." or unicodedata.category(letter)[0] in "LMN" else "-"
        for letter in unicodedata.normalize("NFC", name)
    )
    return re.sub("-+", "-", "".join(kept)).strip("-")
