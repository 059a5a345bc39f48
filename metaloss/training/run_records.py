"""The folder of one run: one method with one seed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from metaloss.checks import InputError, is_number, require
from metaloss.files import make_folder, read_text, write_atomically
from metaloss.kinds import FIGURES
from metaloss.training.checkpoint import earlier
from metaloss.training.metrics import Metrics


class RunRecords:
    """The folder of one run.

    Args:
        path: where it is, or will be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metrics = Metrics(path / "metrics.jsonl")

    @property
    def checkpoint(self) -> Path:
        """Where the state after the last whole epoch is, until the run is done."""
        return self.path / "checkpoint.pt"

    @property
    def adjuster(self) -> Path:
        """Where the learned adjuster is."""
        return self.path / "adjuster"

    def result(self) -> dict[str, Any] | None:
        """The figures of a run that is done; ``None`` while it is not.

        Raises:
            InputError: the file holds something else.
        """
        path = self.path / "result.json"
        if not path.is_file():
            return None
        text = read_text(path)
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: expected JSON, got {error}; delete it to run anew") from None
        require(
            _is_result(found),
            f"{path}: expected the figures of a run that is done, got {' '.join(text.split()):.60}"
            "; delete it to run anew",
        )
        return found

    def make(self) -> None:
        """Make the folder."""
        make_folder(self.path)

    def write_tensors(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Write tensors as safetensors."""
        plain = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
        write_atomically(self.path / f"{name}.safetensors", safetensors.torch.save(plain))

    def read_tensors(self, name: str) -> dict[str, Tensor]:
        """Read what :meth:`write_tensors` wrote."""
        path = self.path / f"{name}.safetensors"
        if not path.is_file():
            raise InputError(f"{path}: expected the file of a finished run, got nothing there")
        try:
            return safetensors.torch.load(path.read_bytes())
        except safetensors.SafetensorError as error:
            raise InputError(f"{path}: expected the file of a finished run: {error}") from None

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write the figures; the checkpoints have done their work."""
        write_atomically(self.path / "result.json", (json.dumps(result, indent=2) + "\n").encode())
        for path in (self.checkpoint, earlier(self.checkpoint)):
            path.unlink(missing_ok=True)


def _is_result(found: Any) -> bool:
    return (
        isinstance(found, dict)
        and found.get("figure") in FIGURES
        and all(is_number(found.get(key)) for key in ("seed", "seconds", found["figure"]))
        and isinstance(found.get("method"), str)
    )
