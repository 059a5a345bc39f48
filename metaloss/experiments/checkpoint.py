"""A run's state on disk, to go on from."""

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

# What going on from a checkpoint of something else ends in.
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
    """What can be put away and taken up again."""

    def state_dict(self) -> dict[str, Any]:
        """All that there is to it."""
        ...

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on from there."""
        ...


def save_checkpoint(path: Path, state: Stateful, of: Mapping[str, Any] | None = None) -> None:
    """Write the state whole or not at all; the checkpoint before is kept beside it.

    Args:
        path: of the file.
        state: what to write.
        of: what run it is a state of, in plain values.
    """
    buffer = io.BytesIO()
    torch.save({"of": dict(of or {}), "state": state.state_dict()}, buffer)
    held = buffer.getvalue()
    if path.exists():
        with naming(path):
            path.replace(earlier(path))
    write_atomically(path, _heading(held) + held)


def earlier(path: Path) -> Path:
    """Where the checkpoint before this one is kept."""
    return path.with_name(f"{path.stem}-before{path.suffix}")


def load_latest(path: Path, state: Stateful, of: Mapping[str, Any] | None = None) -> str | None:
    """Go on from the last checkpoint or, if it is damaged, from the one before.

    Args:
        path: of the last one's file.
        state: changed in place; as it is where there is no checkpoint.
        of: what run it has to be a state of.

    Returns:
        What to say of a damaged one, if the one before was used.

    Raises:
        InputError: there is no whole one, or it is of another model, method or recipe.
    """
    before = earlier(path)
    if path.exists():
        try:
            load_checkpoint(path, state, of)
            return None
        except DamagedError as damage:
            if not before.exists():
                raise
            said = f"{damage}; went on from the one before"
    elif before.exists():  # the process ended between the two
        said = None
    else:
        return None
    load_checkpoint(before, state, of)
    before.replace(path)  # a damaged one must not take its place at the next epoch
    return said


class DamagedError(InputError):
    """A file does not hold what was written to it."""


def load_checkpoint(path: Path, state: Stateful, of: Mapping[str, Any] | None = None) -> None:
    """Go on from a checkpoint; tensors and plain values alone are read, never code.

    Args:
        path: of the file.
        state: changed in place.
        of: what run it has to be a state of.

    Raises:
        DamagedError: the file is not as it was written.
        InputError: it is of another model, method or recipe.
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
        differs = difference(dict(of or {}), saved["of"])
        require(differs is None, str(differs))
        state.load_state_dict(saved["state"])
    except _MISFIT as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{expected}: {reason}") from None


def _heading(held: bytes) -> bytes:
    """The first line of a checkpoint: a digest of the rest."""
    return f"metaloss checkpoint, SHA-256 {hashlib.sha256(held).hexdigest()}\n".encode()
