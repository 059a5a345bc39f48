"""A small experiment and a small meta-training to run, stop and resume."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import nn

from metaloss.experiments import (
    Adjusted,
    Experiment,
    MetaTraining,
    RunFolder,
    RunSettings,
    TaskSpec,
)
from metaloss.losses import GCE, JS
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


class Remarks(Observer):
    """Keeps the warnings that are not about something else, and when runs begin."""

    def __init__(self, *others: str) -> None:
        self.others = others
        self.heard: list[str] = []

    def begin(self, info: Any) -> None:
        self.heard.append("begin")

    def warn(self, line: str) -> None:
        if not any(words in line for words in self.others):
            self.heard.append(line)

    @property
    def lines(self) -> list[str]:
        return [line for line in self.heard if line != "begin"]


class Stop(Observer):
    """Ends a run after an epoch."""

    def __init__(self, epoch: int = 2) -> None:
        self.last = epoch

    def epoch(self, record: dict[str, Any]) -> None:
        if record["epoch"] == self.last:
            raise KeyboardInterrupt


class StopAtStep(Observer):
    """Ends a run after this many steps, counted over all of its trainings."""

    def __init__(self, after: int) -> None:
        self.left = after

    def step(self, step: int) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def stopped(folder: RunFolder, **changes: Any) -> None:
    """Stop a run in its second epoch: it has a checkpoint of one epoch, and metrics of two."""
    try:
        experiment(**changes).run(folder, Stop())
    except KeyboardInterrupt:
        return
    raise AssertionError("it was not stopped")


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))


def larger() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 3))


def some(name: str, *, seed: int, device, samples: int = 60, meta: bool = True):
    task = blobs(seed, device, samples=samples, meta=meta)
    task.name = name
    return task


SPECS = (
    TaskSpec(name="first", task=partial(some, "first")),
    TaskSpec(name="second", task=partial(some, "second", samples=40), model=larger),
)
HELD_OUT = (
    TaskSpec(name="third", task=partial(some, "third", meta=False)),
    TaskSpec(name="fourth", task=partial(some, "fourth", samples=80, meta=False), model=larger),
)
METHODS = (Adjusted(name="A-GCE", loss=GCE()), Adjusted(name="A-JS", loss=JS()))


def meta_training(**changes) -> MetaTraining:
    return MetaTraining(
        **{
            "tasks": SPECS,
            "methods": METHODS,
            "recipe": Recipe(epochs=3, meta_every=2),
            "model": network,
            "settings": RunSettings(last=2, device="cpu"),
            **changes,
        }
    )
