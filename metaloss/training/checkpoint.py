"""A run's state on disk, to go on from."""

from __future__ import annotations

import io
from pathlib import Path

import torch

from metaloss.checks import InputError
from metaloss.files import write_atomically
from metaloss.training.state import TrainState


def save_checkpoint(path: Path, state: TrainState) -> None:
    """Write the state whole or not at all."""
    buffer = io.BytesIO()
    torch.save(state.state_dict(), buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path, state: TrainState) -> None:
    """Go on from a checkpoint; tensors and plain values alone are read, never code.

    Raises:
        InputError: the file is damaged, or is of another model, method or recipe.
    """
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        state.load_state_dict(saved)
    except (RuntimeError, KeyError, ValueError, EOFError, OSError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{path}: expected a checkpoint of this run: {reason}") from None
