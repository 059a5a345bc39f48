"""A small experiment to run, stop and go on with."""

from __future__ import annotations

from typing import Any

from torch import nn

from metaloss.experiments import Adjusted, Experiment, RunFolder, RunSettings
from metaloss.losses import GCE
from metaloss.training import Observer, Recipe
from tests.helpers.tasks import blobs


def experiment(**changes: Any) -> Experiment:
    settings: dict[str, Any] = {
        "task": blobs,
        "model": lambda: nn.Linear(5, 3),
        "methods": [Adjusted(name="A", loss=GCE())],
        "recipe": Recipe(epochs=4),
        "settings": RunSettings(device="cpu"),
    }
    return Experiment(**{**settings, **changes})


class Stop(Observer):
    """Ends a run after an epoch."""

    def __init__(self, epoch: int = 2) -> None:
        self.last = epoch

    def epoch(self, record: dict[str, Any]) -> None:
        if record["epoch"] == self.last:
            raise KeyboardInterrupt


def stopped(folder: RunFolder, **changes: Any) -> None:
    """Begin a run and end it in the middle: a checkpoint after the first epoch, figures of two."""
    try:
        experiment(**changes).run(folder, Stop())
    except KeyboardInterrupt:
        return
    raise AssertionError("it was not stopped")
