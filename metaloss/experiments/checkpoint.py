"""Checkpoints of a run's state."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from metaloss.checks import InputError, require
from metaloss.experiments.identity import difference
from metaloss.files import naming, write_atomically

# The errors that loading a checkpoint of another run can raise.
_MISFIT = (
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    EOFError,
    pickle.UnpicklingError,
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


def save_checkpoint(path: Path, state: Stateful, identity: Mapping[str, Any] | None = None) -> None:
    """Write a checkpoint atomically, and keep the previous one beside it.

    Args:
        path: the file.
        state: the object whose state is written.
        identity: the identity of the run, in plain values.
    """
    buffer = io.BytesIO()
    torch.save({"identity": dict(identity or {}), "state": state.state_dict()}, buffer)
    held = buffer.getvalue()
    if path.exists():
        with naming(path):
            path.replace(earlier(path))
    write_atomically(path, _heading(held) + held)


def earlier(path: Path) -> Path:
    """Return the file of the previous checkpoint."""
    return path.with_name(f"{path.stem}-before{path.suffix}")


def load_latest(
    path: Path, state: Stateful, identity: Mapping[str, Any] | None = None
) -> str | None:
    """Load the last checkpoint or, if it is damaged, the one before.

    Args:
        path: the file of the last checkpoint.
        state: the object to restore in place; left unchanged if there is no checkpoint.
        identity: the expected identity of the run.

    Returns:
        A warning, if the last checkpoint was damaged and the one before was loaded.

    Raises:
        InputError: Both are damaged, or the checkpoint is of another model, method or recipe.
    """
    before = earlier(path)
    if path.exists():
        try:
            load_checkpoint(path, state, identity)
            return None
        except DamagedError as damage:
            if not before.exists():
                raise
            said = f"{damage}; went on from the one before"
    elif before.exists():  # the process ended between the two
        said = None
    else:
        return None
    load_checkpoint(before, state, identity)
    before.replace(path)  # a damaged one must not take its place at the next epoch
    return said


class DamagedError(InputError):
    """A file is not as it was written."""


def load_checkpoint(path: Path, state: Stateful, identity: Mapping[str, Any] | None = None) -> None:
    """Load a checkpoint. Only tensors and plain values are read, never code.

    Args:
        path: the file.
        state: the object to restore in place.
        identity: the expected identity of the run.

    Raises:
        DamagedError: The file is not as it was written.
        InputError: The checkpoint is of another model, method or recipe.
    """
    expected = f"{path}: expected a checkpoint of this run"
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
        state.load_state_dict(saved["state"])
    except _MISFIT as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{expected}: {reason}") from None


def _heading(held: bytes) -> bytes:
    """Return the first line of a checkpoint: a digest of the rest."""
    return f"metaloss checkpoint, SHA-256 {hashlib.sha256(held).hexdigest()}\n".encode()
