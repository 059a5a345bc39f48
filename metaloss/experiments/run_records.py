"""The folder of one run: one method with one seed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from metaloss.checks import InputError, is_number, require
from metaloss.experiments.checkpoint import earlier
from metaloss.experiments.identity import difference
from metaloss.experiments.metrics_file import MetricsFile
from metaloss.files import make_folder, read_text, write_atomically
from metaloss.kinds import METRICS


class RunRecords:
    """The folder of one run.

    Args:
        path: where it is, or will be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metrics = MetricsFile(path / "metrics.jsonl")

    @property
    def checkpoint(self) -> Path:
        """Where the state after the last whole epoch is, until the run is done."""
        return self.path / "checkpoint.pt"

    @property
    def adjuster(self) -> Path:
        """Where the learned adjuster is."""
        return self.path / "adjuster"

    def identify(self, of: Mapping[str, Any]) -> None:
        """Say what run this is; where that was said before, it has to be the same.

        Args:
            of: in plain values.

        Raises:
            InputError: another run was begun here.
        """
        path = self.path / "identity.json"
        if self.begun:
            differs = difference(json.loads(json.dumps(of)), _held(path, self.path))
            require(differs is None, f"{self.path}: another run was begun here: {differs}")
        else:
            make_folder(self.path)
            write_atomically(path, (json.dumps(of, indent=2) + "\n").encode())

    @property
    def begun(self) -> bool:
        """Whether there is something of a run already."""
        files = ("identity.json", "result.json", "checkpoint.pt", "metrics.jsonl")
        return any((self.path / name).exists() for name in files)

    def result(self, of: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """The figures of a run that is done; ``None`` while it is not.

        Args:
            of: what run it has to be, as for :meth:`identify`; any if not given.

        Raises:
            InputError: it is another run, or the file holds something else.
        """
        path = self.path / "result.json"
        if not path.is_file():
            return None
        found = _held(path, path)
        require(
            _is_result(found),
            f"{path}: expected the figures of a run that is done, got {found!s:.60}; delete "
            f"{path} to run it anew",
        )
        if of is not None:
            self.identify(of)
        return found

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


def _held(path: Path, delete: Path) -> dict[str, Any]:
    """The JSON object in a file; where there is none, what to delete to do without it."""
    anew = f"delete {delete} to run it anew"
    require(
        path.is_file(), f"{path}: expected to be told which run this is, got no such file; {anew}"
    )
    text = read_text(path)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected JSON, got {error}; {anew}") from None
    said = " ".join(text.split())
    require(isinstance(found, dict), f"{path}: expected a JSON object, got {said:.60}; {anew}")
    return found


def _is_result(found: Mapping[str, Any]) -> bool:
    named = all(isinstance(found.get(key), str) for key in ("method", "metric"))
    return named and (
        found["metric"] in METRICS
        and all(is_number(found.get(key)) for key in ("seed", "seconds", found["metric"]))
    )
