"""A run on disk: its folder, and what goes into it.

.. code-block:: text

    RUN/
      config.gin         what was asked for
      operative.gin      what was used, defaults and all
      results.json       the table
      hyperparameters.png  what the first seed's adjusters learned
      A-GCE/seed-0/
        metrics.jsonl    a line an epoch
        checkpoint.pt    the state after the last whole epoch, until the run is done
        result.json      the run's figures; there once it is done
        model.safetensors
        adjuster/        where one was learned: adjuster.safetensors and card.json
        samples.safetensors  the margin, loss and hyperparameters of each training sample
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from metaloss.checks import InputError, require
from metaloss.files import check_new_folder, make_folder, user_path, write_atomically


class RunFolder:
    """The folder of an experiment.

    Args:
        path: where it is, or will be; nothing is made before something is written.
        resume: go on in a folder that has runs in it.

    Raises:
        InputError: the folder has files in it (without ``resume``), has no run in it (with it),
            or cannot be written.
    """

    def __init__(self, path: str | Path, resume: bool = False) -> None:
        self.path = user_path(path)
        if resume:
            # Started from a gin file, or from Python: then with nothing but its methods' folders.
            runs = (run for depth in ("*", "*/*") for run in self.path.glob(f"{depth}/seed-*"))
            begun = (self.path / "config.gin").is_file() or any(runs)
            require(begun, f"{path}: expected the folder of a run to resume, got none with a run")
        else:
            check_new_folder(self.path)

    def write(self, name: str, text: str) -> None:
        """Write a text file, whole or not at all.

        Args:
            name: in this folder.
            text: what to write, as UTF-8.
        """
        write_atomically(make_folder(self.path) / name, text.encode())

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file, whole or not at all."""
        self.write(name, json.dumps(value, indent=2) + "\n")

    def part(self, name: str) -> RunFolder:
        """A folder of the same kind in this one."""
        part = copy.copy(self)
        part.path = self.path / name
        return part

    def run(self, method: str, seed: int) -> RunRecords:
        """The folder of one method's run with one seed; nothing is made yet."""
        return RunRecords(self.path / slug(method) / f"seed-{seed}")


class RunRecords:
    """The folder of one run.

    Args:
        path: where it is, or will be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def checkpoint(self) -> Path:
        """Where the state after the last whole epoch is, until the run is done."""
        return self.path / "checkpoint.pt"

    @property
    def adjuster(self) -> Path:
        """Where the learned adjuster is."""
        return self.path / "adjuster"

    def result(self) -> dict[str, Any] | None:
        """The figures of a run that is done; ``None`` while it is not."""
        path = self.path / "result.json"
        if not path.is_file():
            return None
        try:
            return json.loads(path.read_text())
        except ValueError as error:
            raise InputError(f"{path}: expected JSON, got {error}; delete it to run anew") from None

    def make(self) -> None:
        """Make the folder."""
        make_folder(self.path)

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a line to the metrics."""
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")

    def epochs(self) -> list[dict[str, Any]]:
        """The metrics written so far."""
        path = self.path / "metrics.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def keep_epochs(self, count: int) -> None:
        """Keep the first metrics alone: a resumed run drops lines from after its checkpoint.

        They are not read: the last one may be half a line, of a run that was killed.
        """
        path = self.path / "metrics.jsonl"
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        write_atomically(path, b"".join(lines[:count]))

    def write_tensors(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Write tensors as safetensors."""
        plain = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
        write_atomically(self.path / f"{name}.safetensors", safetensors.torch.save(plain))

    def read_tensors(self, name: str) -> dict[str, Tensor]:
        """Read what :meth:`write_tensors` wrote."""
        path = self.path / f"{name}.safetensors"
        if not path.is_file():
            raise InputError(f"{path}: expected the file of a finished run, got nothing there")
        return safetensors.torch.load(path.read_bytes())

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write the figures; the checkpoint has done its work."""
        write_atomically(self.path / "result.json", (json.dumps(result, indent=2) + "\n").encode())
        self.checkpoint.unlink(missing_ok=True)


RESERVED = {
    "config.gin",
    "operative.gin",
    "results.json",
    "hyperparameters.png",
    "held-out",
}
"""What is in a run's folder beside the methods' or the tasks' folders."""


def check_names(what: str, names: Iterable[str]) -> None:
    """Raise an error unless these are names of one thing each, with folders of their own.

    Args:
        what: what to call them.
        names: one or more.

    Raises:
        InputError: there is none, two make the same folder, or one makes none or one of the run's
            own.

    Example:
        >>> from metaloss.training.records import check_names
        >>> check_names("methods", ["GCE", ".."])
        Traceback (most recent call last):
            ...
        metaloss.checks.InputError: methods: expected names with a letter or a digit, got '..'
    """
    by_folder: dict[str, str] = {}
    for name in names:
        folder = slug(name).lower()  # some file systems do not tell cases apart
        require(
            any(letter.isalnum() for letter in folder),
            f"{what}: expected names with a letter or a digit, got {name!r}",
        )
        require(
            folder not in RESERVED,
            f"{what}: expected names other than the run's own files, got {name!r}",
        )
        require(
            folder not in by_folder,
            f"{what}: expected different names, got {name} more than once"
            if by_folder.get(folder) == name
            else f"{what}: expected names of different folders, got {by_folder.get(folder)!r} and "
            f"{name!r}",
        )
        by_folder[folder] = name
    require(len(by_folder) > 0, f"{what}: expected one or more, got none")


def slug(name: str) -> str:
    """A method's name as a folder's.

    Example:
        >>> from metaloss.training.records import slug
        >>> slug("A-GCE (margin, average)")
        'A-GCE-margin-average'
    """
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")
