"""Progress of one part of several."""

from __future__ import annotations

from typing import Any

from metaloss.training.observe import Forwarding, Observer, RunInfo


class PartObserver(Forwarding):
    """Reports the runs of one part, such as those on one task, to the observer of the whole.

    Args:
        observer: the observer of the whole.
        part: the part's name, put before the method's.
        number: the number of the part, from 0.
        parts: the number of parts, each with as many runs.
    """

    def __init__(self, observer: Observer, part: str, number: int, parts: int) -> None:
        super().__init__(observer)
        self.part = part
        self.number = number
        self.parts = parts

    def begin(self, info: RunInfo) -> None:
        """Tell of a run as one of the whole."""
        method = f"{self.part}, {info.method}"
        number = self.number * info.runs + info.number
        self.observer.begin(
            info._replace(method=method, number=number, runs=self.parts * info.runs)
        )

    def end(self, record: dict[str, Any]) -> None:
        """Tell of a run's result, with the part's name."""
        self.observer.end({**record, "method": f"{self.part}, {record['method']}"})

    def note(self, line: str) -> None:
        """Tell of what comes next, with the part's name."""
        self.observer.note(f"{self.part}: {line}")

    def warn(self, line: str) -> None:
        """Tell of a warning, with the part's name."""
        self.observer.warn(f"{self.part}: {line}")
