"""A small experiment in several processes, as a script of a user's own would run it."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import torch
from torch import nn

from metaloss.conditioners import MarginStatistics
from metaloss.experiments import Adjusted, Conventional, Experiment, RunFolder, RunSettings
from metaloss.losses import GCE, CrossEntropy
from metaloss.training import FabricEngine, Recipe
from tests.helpers.tasks import blobs


def network() -> nn.Module:
    """A network without batch normalization."""
    return nn.Sequential(nn.Linear(5, 16), nn.GELU(), nn.Linear(16, 3)).double()


def experiment(devices: int) -> Experiment:
    """The experiment, in a number of processes."""
    return Experiment(
        task=partial(blobs, samples=60, batch_size=12, dtype=torch.float64, validation=True),
        model=network,
        methods=[
            Conventional(name="CE", loss=CrossEntropy()),
            Adjusted(name="A-GCE", loss=GCE(), conditioner=MarginStatistics()),
        ],
        recipe=Recipe(epochs=3, meta_every=2),
        settings=RunSettings(engine=FabricEngine(devices=devices, accelerator="cpu"), threads=1),
    )


if __name__ == "__main__":
    experiment(int(sys.argv[2])).run(RunFolder(Path(sys.argv[1])))
