"""Being stopped: by Ctrl-C, or by the system; and how to go on afterwards."""

from __future__ import annotations

import shlex
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from metaloss.experiments import RunFolder
from metaloss.experiments.run_folder import holds_run


class Stopped(Exception):  # noqa: N818 - it is what happened, not an error
    """A run was stopped; the message says how to go on with it.

    Args:
        message: one line.
        code: the exit code, 128 and the signal's number.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class _Terminated(KeyboardInterrupt):
    """SIGTERM came."""


@contextmanager
def resumable(folder: RunFolder, words: Sequence[str]) -> Iterator[None]:
    """Say how to go on with a run that is stopped in this block.

    Args:
        folder: the run's.
        words: of the command that runs it, behind the program's name.

    Raises:
        Stopped: by Ctrl-C or SIGTERM.
        OSError: what an error of the operating system said, with how to go on behind it.
    """
    try:
        with _terminable():
            yield
    except KeyboardInterrupt as stop:
        number = signal.SIGTERM if isinstance(stop, _Terminated) else signal.SIGINT
        after = _how(folder, words) or "nothing was written yet"
        raise Stopped(f"stopped; {after}", 128 + number) from None
    except OSError as error:
        how = _how(folder, words)
        if how is not None:
            error.strerror = f"{error.strerror or error}; once this is mended, {how}"
        raise


def _how(folder: RunFolder, words: Sequence[str]) -> str | None:
    if folder.begun and holds_run(folder.path):
        return f"go on with: {resuming(folder, words)}"
    return None


def resuming(folder: RunFolder, words: Sequence[str]) -> str:
    """The command that goes on with a run.

    Args:
        folder: the run's.
        words: of the command that began it, behind the program's name.
    """
    said = list(words)
    if not any(word == "--out" or word.startswith("--out=") for word in said):
        said += ["--out", str(folder.path)]
    if "--resume" not in said:
        said.append("--resume")
    return shlex.join(["metaloss", *said])


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that locks and bars are put away."""

    def stop(*_: Any) -> None:
        raise _Terminated

    if threading.current_thread() is not threading.main_thread():  # Python takes no handler there
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
