"""Stop runs on Ctrl-C or SIGTERM, and print the command that resumes them."""

from __future__ import annotations

import shlex
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from metaloss.experiments import RunFolder
from metaloss.experiments.records.run_folder import holds_run


class Stopped(Exception):  # noqa: N818 - stopping a run is not an error
    """A run was stopped; the message says how to resume it.

    Args:
        message: one line.
        code: the exit code: 128 plus the signal's number.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class _Terminated(KeyboardInterrupt):
    """The process received SIGTERM."""


@contextmanager
def resumable(folder: RunFolder, words: Sequence[str]) -> Iterator[None]:
    """Let errors that stop a run inside the block say how to resume it.

    ``words`` are the arguments of the command, without the program's name.

    Raises:
        Stopped: The run was stopped by Ctrl-C or SIGTERM.
        OSError: The operating system's error, with the command to resume the run.
    """
    try:
        with stoppable(lambda: _how(folder, words) or "nothing was written yet"):
            yield
    except OSError as error:
        how = _how(folder, words)
        if how is not None:
            error.strerror = f"{error.strerror or error}; once this is mended, {how}"
        raise


@contextmanager
def stoppable(after: Callable[[], str]) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the block with a line, which ends with what ``after`` returns.

    Raises:
        Stopped: The block was ended so.
    """
    try:
        with _terminable():
            yield
    except KeyboardInterrupt as stop:
        number = signal.SIGTERM if isinstance(stop, _Terminated) else signal.SIGINT
        raise Stopped(f"stopped; {after()}", 128 + number) from None


def _how(folder: RunFolder, words: Sequence[str]) -> str | None:
    if folder.begun and holds_run(folder.path):
        return f"go on with: {resuming(folder, words)}"
    return None


def resuming(folder: RunFolder, words: Sequence[str]) -> str:
    """Return the command that resumes a run, from the words of the one that began it."""
    said = list(words)
    if not any(word == "--out" or word.startswith("--out=") for word in said):
        said += ["--out", str(folder.path)]
    if "--resume" not in said:
        said.append("--resume")
    return shlex.join(["metaloss", *said])


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that locks are released and bars removed."""

    def stop(*_: Any) -> None:
        raise _Terminated

    if threading.current_thread() is not threading.main_thread():  # Python sets handlers there only
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
