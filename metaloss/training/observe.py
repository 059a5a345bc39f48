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
