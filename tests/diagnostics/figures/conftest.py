"""One small run with several methods, whose folder the figures are drawn from."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from metaloss.conditioners import LossValue
from metaloss.experiments import Adjusted, Conventional, Experiment, RunFolder, RunSettings
from metaloss.experiments.records.run_records import RunRecords
from metaloss.losses import GCE, JS, SL, ActivePassive, CrossEntropy, PolySoft, WeightedCE
from metaloss.models import MLP
from metaloss.training import Recipe
from tests.helpers.tasks import blobs

METHODS = (
    Conventional(name="CE", loss=CrossEntropy()),
    Conventional(name="GCE", loss=GCE(), values={"q": 0.6}),
    Adjusted(name="A-GCE", loss=GCE()),
    Adjusted(name="A-SL", loss=SL()),
    Adjusted(name="A-PolySoft", loss=PolySoft()),
    Conventional(name="JS", loss=JS()),
    Adjusted(name="A-JS", loss=JS()),
    Adjusted(name="A-APL", loss=ActivePassive()),
    Adjusted(name="MW-Net", loss=WeightedCE(), conditioner=LossValue()),
)

Run = Callable[[str], RunRecords]


def adam(params) -> torch.optim.Optimizer:
    return torch.optim.Adam(params, lr=0.02)  # enough for the snapshots to differ


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return the folder of the method of this name in a run that recorded at three times."""
    folder = RunFolder(tmp_path_factory.mktemp("figures") / "run")
    settings = RunSettings(last=2, device="cpu", record_samples=(0.25, 0.5, 1.0))
    recipe = Recipe(epochs=4, meta_every=1, meta_optimizer=adam)
    experiment = Experiment(
        task=blobs,
        model=lambda: MLP(5, 3, hidden=(8,)),
        methods=METHODS,
        recipe=recipe,
        settings=settings,
    )
    experiment.run(folder)
    return lambda name: folder.run(name, 0)


@pytest.fixture(scope="session")
def at_the_end_alone(tmp_path_factory: pytest.TempPathFactory) -> RunRecords:
    """Return the folder of a run with the default settings."""
    folder = RunFolder(tmp_path_factory.mktemp("figures") / "run")
    methods = [method for method in METHODS if method.name == "A-GCE"]
    Experiment(
        task=blobs,
        model=lambda: MLP(5, 3, hidden=(8,)),
        methods=methods,
        recipe=Recipe(epochs=2),
        settings=RunSettings(last=2, device="cpu"),
    ).run(folder)
    return folder.run("A-GCE", 0)
