"""The file of a run's figures, a line an epoch."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metaloss.checks import InputError, require
from metaloss.experiments.results import by_epoch
from metaloss.files import naming, write_atomically


class MetricsFile:
    """The file of a run's figures, a line of JSON an epoch.

    Where several tasks are trained on, each line names its task, and each task has an epoch of
    every number.

    Args:
        path: where it is, or will be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a line. A figure that is not finite is written as ``null``, as JSON has it."""
        line = json.dumps({key: _finite(value) for key, value in record.items()})
        with naming(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())

    def keep(self, finished: Mapping[str | None, int]) -> None:
        """Drop what was written after a checkpoint, such as half a line of a killed run.

        Args:
            finished: how many epochs are done at the checkpoint, by the name of the task; that of
                a single task is ``None``.

        Raises:
            InputError: one of those epochs is missing, or there twice.
        """
        kept = []
        for line in self._lines():
            record = _parsed(line)
            if record is not None and record["epoch"] <= finished.get(record.get("task"), 0):
                kept.append(line + b"\n")
        self._check(kept, finished)
        with naming(self.path):
            write_atomically(self.path, b"".join(kept))

    def read(self, finished: Mapping[str | None, int]) -> list[dict[str, Any]]:
        """The figures of a run, a record an epoch.

        Args:
            finished: how many epochs there are, by the name of the task.

        Raises:
            InputError: an epoch is missing, or there twice.
        """
        lines = self._lines()
        self._check(lines, finished)
        return [record for line in lines if (record := _parsed(line)) is not None]

    def _lines(self) -> list[bytes]:
        with naming(self.path):
            return self.path.read_bytes().splitlines() if self.path.exists() else []

    def _check(self, lines: list[bytes], finished: Mapping[str | None, int]) -> None:
        records = [record for line in lines if (record := _parsed(line)) is not None]
        for task, epochs in finished.items():
            own = [record for record in records if record.get("task") == task]
            try:
                found = len(by_epoch(own)) if own else 0
                require(found == epochs, f"expected {epochs} epochs, got {found}")
            except InputError as error:
                of = "" if task is None else f" of {task}"
                raise InputError(
                    f"{self.path}{of}: {error}; delete {self.path.parent} to run it anew"
                ) from None


def _parsed(line: bytes) -> dict[str, Any] | None:
    """A line's record; ``None`` if it holds none."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(record, dict) and type(record.get("epoch")) is int
    return record if whole and record["epoch"] > 0 else None


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
