"""Who is told what as training goes."""

from __future__ import annotations

from typing import Any, NamedTuple


class RunInfo(NamedTuple):
    """What a run is.

    Attributes:
        method: its method's name.
        seed: its seed.
        number: which of the runs it is, from 1.
        runs: how many there are.
        steps: ordinary steps in the run.
        epochs: epochs in the run.
    """

    method: str
    seed: int
    number: int
    runs: int
    steps: int
    epochs: int


class Observer:
    """Told how training goes; does nothing unless a method is overridden."""

    def begin(self, info: RunInfo) -> None:
        """A run begins, or goes on."""

    def step(self, step: int) -> None:
        """``step`` ordinary steps are done."""

    def epoch(self, record: dict[str, Any]) -> None:
        """An epoch is done; its figures."""

    def end(self, record: dict[str, Any]) -> None:
        """A run is done; its results."""

    def remark(self, line: str) -> None:
        """Something that a person should know, and that stops nothing."""


class Part(Observer):
    """Passes on what happens in one of several experiments, numbered as runs of all of them.

    Args:
        observer: is told.
        name: of the part, put before the method's.
        number: which part it is, from 0.
        parts: how many there are, of as many runs each.
    """

    def __init__(self, observer: Observer, name: str, number: int, parts: int) -> None:
        self._observer = observer
        self._name = name
        self._number = number
        self._parts = parts

    def begin(self, info: RunInfo) -> None:
        """A run of this part begins."""
        self._observer.begin(
            info._replace(
                method=f"{self._name}, {info.method}",
                number=self._number * info.runs + info.number,
                runs=self._parts * info.runs,
            )
        )

    def step(self, step: int) -> None:
        """As it is."""
        self._observer.step(step)

    def epoch(self, record: dict[str, Any]) -> None:
        """As it is."""
        self._observer.epoch(record)

    def end(self, record: dict[str, Any]) -> None:
        """A run of this part is done."""
        self._observer.end({**record, "method": f"{self._name}, {record['method']}"})

    def remark(self, line: str) -> None:
        """As it is."""
        self._observer.remark(line)
