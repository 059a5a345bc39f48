"""Several tasks that one adjuster learns from, by one process or by several."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from metaloss import AdjustedLoss, Adjuster
from metaloss.conditioners import MarginStatistics
from metaloss.losses import GCE
from metaloss.training import MultiTaskTraining, Recipe, TaskSampler, TaskTraining, TrainState
from tests.helpers.tasks import blobs
from tests.processes import joint_training

SIZES = {"one": 60, "two": 40, "three": 60}
SAMPLERS = {
    "two at once": {"tasks_per_step": 2},
    "one at a time": {},
    "shuffled": {"order": "shuffled", "tasks_per_step": 3, "block": 2},
}


def network(seed: int) -> nn.Module:
    """A network without random numbers."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3)).double()


def trained(sampler: str, meta_update: str) -> dict[str, Any]:
    """Train to the end; return the records, the adjuster and the networks."""
    recipe = Recipe(epochs=2, meta_every=2, meta_update=meta_update)
    learner, trainings = None, {}
    for k, (name, samples) in enumerate(SIZES.items()):
        task = blobs(k, samples=samples, dtype=torch.float64)
        task.name = name
        model, conditioner = network(k), MarginStatistics()
        torch.manual_seed(9)
        adjuster = Adjuster.for_loss(GCE(), conditioner, hidden=6).double()
        adjuster = adjuster if learner is None else learner.adjuster
        criterion = AdjustedLoss(GCE(), conditioner, adjuster).double()
        state = TrainState.start(model, criterion, task, recipe, learner)
        learner = state.meta_learner
        trainings[name] = TaskTraining(state, task, recipe)
    together = MultiTaskTraining(trainings, TaskSampler(**SAMPLERS[sampler], spread=True))
    timed = ("seconds", "samples_per_second")
    records = together.run()
    return {
        "records": [{k: v for k, v in each.items() if k not in timed} for each in records],
        "adjuster": dict(learner.adjuster.state_dict()),
        "meta steps": learner.steps,
        "networks": {n: dict(t.state.model.state_dict()) for n, t in trainings.items()},
        "memory": {n: dict(t.state.criterion.state_dict()) for n, t in trainings.items()},
    }


def all_trained(joint: list[str]) -> dict[str, Any]:
    """The results with each sampler and order of the steps, and of trainings of joint batches."""
    spread = {f"{s}, {m}": trained(s, m) for s in SAMPLERS for m in ("after", "before")}
    return {**spread, **joint_training.all_trained(joint)}
