"""A small grid of runs, and an observer of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metaloss.sweeps import Grid
from metaloss.training import Observer

CE = ["losses/ce.gin", "experiments.Experiment.methods = [@ce/experiments.Conventional()]"]
GCE = ["losses/gce.gin", "experiments.Experiment.methods = [@gce/experiments.Conventional()]"]
# A network for other images: its runs fail.
MISFIT = [*CE, "models.MLP.in_features = 3"]
SETTINGS = {
    "experiment": "experiments/smoke_digits.gin",
    "axes": {
        "noise": {"20%": ["NOISE_RATE = 0.2"], "40%": ["NOISE_RATE = 0.4"]},
        "method": {"CE": CE, "GCE": GCE},
    },
    "seeds": (0, 1),
    "bindings": ["EPOCHS = 1"],
}


def grid(methods: Mapping[str, list[str]] | None = None, **changes: Any) -> Grid:
    """Return the grid, with other methods or other settings."""
    settings = {**SETTINGS, **changes}
    if methods is not None:
        settings["axes"] = {**SETTINGS["axes"], "method": methods}  # type: ignore[dict-item]
    return Grid(**settings)


GRID = f"""
from __gin__ import dynamic_registration
from metaloss import sweeps

sweeps.Grid.experiment = 'experiments/smoke_digits.gin'
sweeps.Grid.axes = {{'method': {{'CE': {CE!r}, 'GCE': {GCE!r}}}}}
sweeps.Grid.bindings = ['EPOCHS = 1']
"""


def written(folder: Path, text: str = GRID) -> str:
    """Write a grid's gin file, and return its path."""
    path = folder / "grid.gin"
    path.write_text(text)
    return str(path)


class Heard(Observer):
    """Keeps what it is told; stops before a training after so many."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.begun: list[str] = []
        self.warned: list[str] = []
        self.stop_after = stop_after

    def begin(self, info: Any) -> None:
        if len(self.begun) == self.stop_after:
            raise KeyboardInterrupt
        self.begun.append(f"[{info.number}/{info.runs}] {info.method}, seed {info.seed}")

    def warn(self, line: str) -> None:
        self.warned.append(line)
