"""The lock of a run's folder, which one process at a time may hold."""

from __future__ import annotations

import json
import os
import platform
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from metaloss.checks import InputError, require
from metaloss.files import (
    check_new_folder,
    is_part,
    make_folder,
    make_free_folder,
    write_atomically,
)
from metaloss.processes import on_first

LOCK = ".lock"
HOLDER = ".holder.json"  # beside the lock, for a locked file cannot be read everywhere


class FolderInUseError(InputError):
    """Another process holds the lock."""


class FolderLock:
    """The lock of a folder, held from :meth:`take` to the end of the outermost ``with`` block.

    Where several processes train together, the first one holds it for all.

    The operating system holds the lock, and releases it when the process ends, however that
    happens. The lock file is never removed: otherwise two processes could each hold the lock of a
    file of this name.

    Args:
        path: the folder.
        resume: the folder exists, with a run in it.
        find_free: if ``path`` exists, take ``PATH-2``, ``PATH-3`` and so on.
    """

    def __init__(self, path: Path, *, resume: bool = False, find_free: bool = False) -> None:
        self.path = path
        self.resume = resume
        self._find_free = find_free
        self.begun = resume
        self._blocks = 0
        self._lock: FileLock | None = None

    def __enter__(self) -> FolderLock:
        self._blocks += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._blocks -= 1
        if self._blocks == 0 and self._lock is not None:
            (self.path / HOLDER).unlink(missing_ok=True)
            self._lock.release()
            self._lock = None

    def take(self) -> None:
        """Create the folder if it is new, and lock it, unless this object holds the lock already.

        Raises:
            InputError: Another process holds the lock, a new folder is not empty, or the folder
                was removed.
        """
        assert self._blocks > 0, "take() is called inside a with block"
        self.path = self._taken()
        self.begun = True

    @on_first
    def _taken(self) -> Path:
        if self._lock is not None:
            self._expect(self.path / LOCK)
            return self.path
        new = not self.begun
        if new and self._find_free:
            self.path = make_free_folder(self.path)
        elif new:
            make_folder(self.path)
        else:
            self._expect(self.path)
        self._lock = self._locked()
        if new:
            check_new_folder(self.path, besides=(LOCK, HOLDER))
        write_atomically(self.path / HOLDER, _ourselves().encode())
        for left in filter(is_part, self.path.rglob(".*")):  # of a process that was killed
            left.unlink(missing_ok=True)
        return self.path

    def _expect(self, path: Path) -> None:
        require(path.exists(), f"{self.path}: expected the run's folder, but it was removed")

    def _locked(self) -> FileLock:
        lock = FileLock(self.path / LOCK, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise FolderInUseError(
                f"{self.path}: expected a folder that no other run writes to, got one in use by "
                f"{_holder(self.path / HOLDER)}"
            ) from None
        except PermissionError as error:
            raise InputError(
                f"{self.path}: expected a folder that can be written to, got {error.strerror}"
            ) from None
        except (NotImplementedError, OSError) as error:
            raise InputError(
                f"{self.path}: expected a place whose file system locks files, got {error}"
            ) from None
        return lock


def _ourselves() -> str:
    said = {
        "process": os.getpid(),
        "host": platform.node(),
        "since": datetime.now().astimezone().isoformat(timespec="seconds"),
    }
    return json.dumps(said) + "\n"


def _holder(path: Path) -> str:
    """Return who holds a lock, as far as it has been written down."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        said = json.loads(path.read_text(encoding="utf-8"))
        return f"process {said['process']} on {said['host']} since {said['since']}"
    return "another process"
