"""The file of a run's metrics, one line per epoch."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metaloss.checks import InputError, require
from metaloss.experiments.tables.results import by_epoch
from metaloss.files import naming, write_atomically
from metaloss.processes import on_first


class MetricsFile:
    """The file of a run's metrics, one line of JSON per epoch.

    If a run trains on several tasks, each line names its task, and each task has one line for each
    of its epochs.

    Args:
        path: the file, which need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def any(self) -> bool:
        """Whether it has a line."""
        return self.path.exists() and self.path.stat().st_size > 0

    @on_first
    def append(self, record: Mapping[str, Any]) -> None:
        """Append a line. Values that are not finite are written as ``null``: JSON has no others."""
        line = json.dumps({key: _finite(value) for key, value in record.items()})
        with naming(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())

    @on_first
    def keep(self, finished: Mapping[str | None, int]) -> None:
        """Drop the lines after a checkpoint, such as half a line of a run that was killed.

        Args:
            finished: the number of epochs finished at the checkpoint, by task name; ``None`` is
                the name of a single task.

        Raises:
            InputError: A finished epoch is missing, or there twice.
        """
        kept = []
        for line in self._lines():
            record = _parsed(line)
            if record is not None and record["epoch"] <= finished.get(record.get("task"), 0):
                kept.append(line + b"\n")
        self._check(kept, finished)
        with naming(self.path):
            write_atomically(self.path, b"".join(kept))

    @on_first
    def read(self, finished: Mapping[str | None, int]) -> list[dict[str, Any]]:
        """Return the metrics of each epoch.

        Args:
            finished: the number of epochs finished, by task name, as for :meth:`keep`.

        Raises:
            InputError: An epoch is missing, or there twice.
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
    """Return the record in a line, or ``None`` if it holds none."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(record, dict) and type(record.get("epoch")) is int
    return record if whole and record["epoch"] > 0 else None


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
