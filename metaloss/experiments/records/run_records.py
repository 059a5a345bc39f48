"""The folder of one run: one method with one seed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from metaloss.checks import InputError, is_number, require
from metaloss.experiments.records.checkpoint import checkpoints
from metaloss.experiments.records.identity import difference
from metaloss.experiments.records.metrics_file import MetricsFile
from metaloss.experiments.records.names import slug
from metaloss.files import make_folder, read_text, write_atomically
from metaloss.inputs import Inputs
from metaloss.kinds import METRICS
from metaloss.processes import on_first

INPUTS = "inputs.json"


class RunRecords:
    """The folder of one run.

    Where several processes train together, the first one alone reads and writes it, and the others
    receive the results.

    Args:
        path: the folder, which need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metrics = MetricsFile(path / "metrics.jsonl")

    @property
    def checkpoint(self) -> Path:
        """The file of the last checkpoint, which is removed when the run is done."""
        return self.path / "checkpoint.pt"

    @property
    def adjuster(self) -> Path:
        """The folder of the learned adjuster."""
        return self.path / "adjuster"

    @on_first
    def identify(self, identity: Mapping[str, Any]) -> None:
        """Write the run's identity, or compare it with that of a run of which something is done.

        Raises:
            InputError: Another run was begun here.
        """
        path = self.path / "identity.json"
        if self._something_done:
            differs = difference(json.loads(json.dumps(identity)), _json_object(path, self.path))
            require(
                differs is None,
                f"{self.path}: another run was begun here: {differs}; delete {self.path} to run it "
                "anew",
            )
        else:
            make_folder(self.path)
            write_atomically(path, (json.dumps(identity, indent=2) + "\n").encode())

    @on_first
    def write_inputs(self, inputs: Inputs) -> None:
        """Write how the inputs are made to ``inputs.json``, for predictions without the data."""
        write_atomically(self.path / INPUTS, inputs.to_json().encode())

    @on_first
    def read_inputs(self) -> Inputs:
        """Read what :meth:`write_inputs` wrote.

        Raises:
            InputError: The file is missing or damaged.
        """
        path = self.path / INPUTS
        text = read_text(path)
        try:
            return Inputs.from_json(text)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    @property
    def begun(self) -> bool:
        """Whether any file of a run exists."""
        files = ("identity.json", "result.json", "metrics.jsonl")
        return self._has_any(files) or len(checkpoints(self.checkpoint)) > 0

    @property
    def _something_done(self) -> bool:
        """Whether an epoch was finished, or a preliminary run begun."""
        kept = self.metrics.any or len(checkpoints(self.checkpoint)) > 0
        return kept or self._has_any(("result.json", "preliminary"))

    def _has_any(self, names: Sequence[str]) -> bool:
        return any((self.path / name).exists() for name in names)

    @on_first
    def finished(self, identity: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the result of this very run, and delete its checkpoints; ``None`` if not done.

        A process that ended between the result and the checkpoints has left them.

        Raises:
            InputError: It is another run, or the result holds something else.
        """
        found = self.result()
        if found is not None:
            self.identify(identity)
            self._drop_checkpoints()
        return found

    @on_first
    def finished_result(self) -> dict[str, Any]:
        """Return the result of a run that is done.

        Raises:
            InputError: It is not done, or the file holds something else.
        """
        found = self.result()
        if found is None:
            raise InputError(f"{self.path}: expected a finished run, got none")
        return found

    def result(self) -> dict[str, Any] | None:
        """Return the result of a run that is done, or ``None`` if it is not done.

        Raises:
            InputError: The file holds something else.
        """
        path = self.path / "result.json"
        if not path.is_file():
            return None
        found = _json_object(path, path)
        require(
            _is_result(found),
            f"{path}: expected the result of a run that is done, got {found!s:.60}; delete "
            f"{path} to run it anew",
        )
        return found

    @on_first
    def write_tensors(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Write tensors to ``NAME.safetensors``."""
        plain = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
        write_atomically(self.path / f"{name}.safetensors", safetensors.torch.save(plain))

    @on_first
    def read_tensors(self, name: str) -> dict[str, Tensor]:
        """Read the tensors that :meth:`write_tensors` wrote."""
        path = self.path / f"{name}.safetensors"
        if not path.is_file():
            raise InputError(f"{path}: expected the file of a finished run, got nothing there")
        try:
            return safetensors.torch.load(path.read_bytes())
        except safetensors.SafetensorError as error:
            raise InputError(f"{path}: expected the file of a finished run: {error}") from None

    def preliminary(self, name: str) -> RunRecords:
        """Return the folder of a preliminary run, inside this one."""
        return RunRecords(self.path / "preliminary" / slug(name))

    @on_first
    def adopt(self, other: RunRecords) -> None:
        """Copy what another run learned and recorded, without its identity and its result."""
        for path in (*other.path.iterdir(), *other.adjuster.glob("*")):
            if path.is_file() and path.name not in {"identity.json", "result.json"}:
                own = self.path / path.relative_to(other.path)
                write_atomically(make_folder(own.parent) / own.name, path.read_bytes())

    @on_first
    def finish(self, result: Mapping[str, Any]) -> None:
        """Write the result, and delete the checkpoints."""
        write_atomically(self.path / "result.json", (json.dumps(result, indent=2) + "\n").encode())
        self._drop_checkpoints()

    def _drop_checkpoints(self) -> None:
        for path in checkpoints(self.checkpoint):
            path.unlink(missing_ok=True)


def _json_object(path: Path, delete: Path) -> dict[str, Any]:
    """Return the JSON object in a file, or raise an error that says which file to delete."""
    anew = f"delete {delete} to run it anew"
    require(path.is_file(), f"{path}: expected the identity of this run, got no such file; {anew}")
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
