"""Checkpoints of a run's state."""

from __future__ import annotations

import hashlib
import io
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from metaloss.checks import InputError, require
from metaloss.experiments.records.identity import difference
from metaloss.files import naming, writing_atomically
from metaloss.processes import on_first

# The errors that loading a checkpoint of another run can raise.
_MISFIT = (
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    EOFError,
)


@runtime_checkable
class Stateful(Protocol):
    """An object whose state can be saved and restored."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""
        ...

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restore the state."""
        ...


@on_first
def save_checkpoint(
    path: Path, state: Stateful, identity: Mapping[str, Any] | None = None, keep: int = 2
) -> None:
    """Write a checkpoint atomically, and keep those before it: ``keep`` of them with this one."""
    buffer = io.BytesIO()
    torch.save({"identity": dict(identity or {}), "state": state.state_dict()}, buffer)
    held = buffer.getbuffer()  # no copy: a checkpoint may be large
    with writing_atomically(path) as file:
        with naming(path):
            file.write(_heading(held))
            file.write(held)
            file.flush()  # a full disk shows before the others are renamed
        _make_way(path, keep)


def before(path: Path, number: int) -> Path:
    """Return the file of an earlier checkpoint.

    Args:
        path: the file of the last checkpoint.
        number: how many checkpoints it is before the last one; 0 for the last one itself.

    Example:
        >>> from metaloss.experiments.records.checkpoint import before
        >>> [before(Path("checkpoint.pt"), number).name for number in range(3)]
        ['checkpoint.pt', 'checkpoint-before.pt', 'checkpoint-before-2.pt']
    """
    ending = ("", "-before")[number] if number < 2 else f"-before-{number}"
    return path.with_name(f"{path.stem}{ending}{path.suffix}")


def checkpoints(path: Path) -> list[Path]:
    """Return the files of all checkpoints there are, the last one first.

    Args:
        path: the file of the last checkpoint, which need not exist: a process that ended while it
            wrote a checkpoint may have left only those before.
    """
    pattern = rf"{re.escape(path.stem)}(-before(?:-(\d+))?)?{re.escape(path.suffix)}"
    numbered = {}
    for file in path.parent.glob(f"{path.stem}*{path.suffix}"):
        if found := re.fullmatch(pattern, file.name):
            numbered[int(found[2] or bool(found[1]))] = file
    return [numbered[number] for number in sorted(numbered)]


def load_latest(
    path: Path, state: Stateful, identity: Mapping[str, Any] | None = None
) -> str | None:
    """Load the last checkpoint or, if it is damaged, the last before it that is not.

    Without a checkpoint, the state is left unchanged.

    Returns:
        A warning that names the damaged checkpoints and the one that was loaded; ``None`` if the
        last was loaded, or there is none.

    Raises:
        InputError: All are damaged, or the checkpoint is of another model, method or recipe.
    """
    saved, warning = _read_latest(path, identity)
    if saved is not None:
        _restore(path, state, saved)
    return warning


@on_first
def _read_latest(
    path: Path, identity: Mapping[str, Any] | None
) -> tuple[dict[str, Any] | None, str | None]:
    """Return the last state that is not damaged, if there is one, and a warning if others are."""
    damaged: dict[Path, str] = {}
    for file in checkpoints(path):
        try:
            saved = _read(file, identity)
        except DamagedError as damage:
            damaged[file] = str(damage)
            continue
        file.replace(path)
        for each in damaged:
            if each != path:
                each.unlink()
        said = "; ".join(damaged.values())
        return saved, f"{said}; went on from {file.name}" if damaged else None
    require(not damaged, f"{'; '.join(damaged.values())}; delete {path.parent} to run it anew")
    return None, None


def _make_way(path: Path, keep: int) -> None:
    """Rename each checkpoint to the one before it, up to the first number that is free."""
    for file in checkpoints(path):
        if file not in {before(path, number) for number in range(keep)}:
            file.unlink()
    free = next((n for n in range(keep) if not before(path, n).exists()), keep - 1)
    for number in range(free, 0, -1):
        with naming(before(path, number)):
            before(path, number - 1).replace(before(path, number))


class DamagedError(InputError):
    """A file is not as it was written."""


def _read(path: Path, identity: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the state in a checkpoint."""
    expected = _expected(path)
    try:
        heading, _, held = path.read_bytes().partition(b"\n")
    except OSError as error:
        raise DamagedError(f"{expected}: {error.strerror}") from None
    if heading + b"\n" != _heading(held):
        raise DamagedError(f"{expected}, got a damaged file")
    try:
        saved = torch.load(io.BytesIO(held), map_location="cpu", weights_only=True)
        differs = difference(dict(identity or {}), saved["identity"])
        require(differs is None, str(differs))
        found: dict[str, Any] = saved["state"]
    except pickle.UnpicklingError:
        raise InputError(
            f"{expected}, which holds tensors and plain values alone, got one with other objects; "
            "nothing of it was loaded"
        ) from None
    except _MISFIT as error:
        raise _misfit(path, error) from None
    return found


def _restore(path: Path, state: Stateful, saved: dict[str, Any]) -> None:
    """Restore a state that was read from a checkpoint."""
    try:
        state.load_state_dict(saved)
    except _MISFIT as error:
        raise _misfit(path, error) from None


def _misfit(path: Path, error: Exception) -> InputError:
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return InputError(f"{_expected(path)}: {reason}")


def _expected(path: Path) -> str:
    return f"{path}: expected a checkpoint of this run"


def _heading(held: bytes | memoryview) -> bytes:
    """Return the first line of a checkpoint: a digest of the rest."""
    return f"metaloss checkpoint, SHA-256 {hashlib.sha256(held).hexdigest()}\n".encode()
