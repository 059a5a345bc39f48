"""Callbacks that report the progress of runs."""

from __future__ import annotations

from typing import Any, NamedTuple


class RunInfo(NamedTuple):
    """The description of a run that its observer gets.

    Attributes:
        method: the method's name.
        seed: the run's seed.
        number: the number of the run, from 1 to ``runs``.
        runs: the number of runs in all.
        steps: the number of ordinary steps in the run.
        epochs: the number of epochs in the run.
    """

    method: str
    seed: int
    number: int
    runs: int
    steps: int
    epochs: int


class Observer:
    """Receives the progress of runs; each method does nothing unless it is overridden."""

    def begin(self, info: RunInfo) -> None:
        """Receive the description of a run that begins or is resumed."""

    def step(self, step: int) -> None:
        """Receive the number of ordinary steps done, after each of them."""

    def epoch(self, record: dict[str, Any]) -> None:
        """Receive the record of an epoch, a line of ``metrics.jsonl``."""

    def end(self, record: dict[str, Any]) -> None:
        """Receive the results of a run that is done, as in ``result.json``."""

    def note(self, line: str) -> None:
        """Receive a line about what comes next, which is no warning."""

    def warn(self, line: str) -> None:
        """Receive a warning that does not stop the run."""


class Forwarding(Observer):
    """Passes everything on to another observer; a subclass overrides what it changes or adds.

    Args:
        observer: the other observer.
    """

    def __init__(self, observer: Observer) -> None:
        self.observer = observer

    def begin(self, info: RunInfo) -> None:
        """Pass it on."""
        self.observer.begin(info)

    def step(self, step: int) -> None:
        """Pass it on."""
        self.observer.step(step)

    def epoch(self, record: dict[str, Any]) -> None:
        """Pass it on."""
        self.observer.epoch(record)

    def end(self, record: dict[str, Any]) -> None:
        """Pass it on."""
        self.observer.end(record)

    def note(self, line: str) -> None:
        """Pass it on."""
        self.observer.note(line)

    def warn(self, line: str) -> None:
        """Pass it on."""
        self.observer.warn(line)
