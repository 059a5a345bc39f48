"""A run's state on disk, to go on from."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from metaloss.checks import InputError, require
from metaloss.files import write_atomically
from metaloss.training.identity import difference

# What reading a file that is no checkpoint, or one of something else, ends in.
_DAMAGE = (
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    EOFError,
    OSError,
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
    """Write the state whole or not at all.

    Args:
        path: of the file.
        state: what to write.
        of: what run it is a state of, in plain values.
    """
    buffer = io.BytesIO()
    torch.save({"of": dict(of or {}), "state": state.state_dict()}, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path, state: Stateful, of: Mapping[str, Any] | None = None) -> None:
    """Go on from a checkpoint; tensors and plain values alone are read, never code.

    Args:
        path: of the file.
        state: changed in place.
        of: what run it has to be a state of.

    Raises:
        InputError: the file is damaged, or is of another model, method or recipe.
    """
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        differs = difference(dict(of or {}), saved["of"])
        require(differs is None, str(differs))
        state.load_state_dict(saved["state"])
    except _DAMAGE as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{path}: expected a checkpoint of this run: {reason}") from None
