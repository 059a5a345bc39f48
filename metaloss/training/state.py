"""Everything that a run changes as it goes, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from metaloss.objective import AdjustedLoss
from metaloss.training.recipe import Recipe
from metaloss.training.speed import Forward
from metaloss.types import TaskLike


@dataclass
class TrainState:
    """Everything that a run changes as it goes.

    Attributes:
        model: the classifier.
        criterion: the adjusted loss, with the adjuster and what the conditioner remembers.
        optimizer: the classifier's.
        meta_optimizer: the adjuster's; ``None`` where nothing is learned.
        schedules: learning-rate schedulers, stepped once an epoch.
        step: ordinary steps done.
        meta_step: meta steps done.
        snapshots: the adjuster's parameters at each fraction of training reached so far.
        forward: the ordinary steps' forward pass; the model itself if not given.
    """

    model: nn.Module
    criterion: AdjustedLoss
    optimizer: torch.optim.Optimizer
    meta_optimizer: torch.optim.Optimizer | None = None
    schedules: list[Any] = field(default_factory=list)
    step: int = 0
    meta_step: int = 0
    snapshots: list[tuple[float, dict[str, Tensor]]] = field(default_factory=list)
    forward: Forward | None = None

    @classmethod
    def start(
        cls, model: nn.Module, criterion: AdjustedLoss, task: TaskLike, recipe: Recipe
    ) -> TrainState:
        """The state before the first step; prepares the criterion for the task's training set."""
        criterion.prepare(task.train_targets, task.num_classes)
        optimizer = recipe.optimizer(p for p in model.parameters() if p.requires_grad)
        theta = [p for p in criterion.adjuster.parameters() if p.requires_grad]
        meta_optimizer = recipe.meta_optimizer(theta) if theta else None
        schedules = []
        if recipe.schedule is not None:
            schedules.append(recipe.schedule(optimizer))
        if recipe.meta_schedule is not None and meta_optimizer is not None:
            schedules.append(recipe.meta_schedule(meta_optimizer))
        return cls(model, criterion, optimizer, meta_optimizer, schedules)

    def keep_snapshot(self, fraction: float) -> None:
        r"""Keep :math:`\theta^{(k)}` as it is now."""
        state = self.criterion.adjuster.state_dict()
        copied = {name: value.detach().cpu().clone() for name, value in state.items()}
        self.snapshots.append((fraction, copied))

    def state_dict(self) -> dict[str, Any]:
        """All of it, with the random number generators that dropout draws from."""
        return {
            "step": self.step,
            "meta_step": self.meta_step,
            "snapshots": self.snapshots,
            "model": self.model.state_dict(),
            "criterion": self.criterion.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "meta_optimizer": self.meta_optimizer and self.meta_optimizer.state_dict(),
            "schedules": [schedule.state_dict() for schedule in self.schedules],
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave."""
        self.step, self.meta_step = saved["step"], saved["meta_step"]
        self.snapshots = [(fraction, state) for fraction, state in saved["snapshots"]]
        self.model.load_state_dict(saved["model"])
        self.criterion.load_state_dict(saved["criterion"])
        self.optimizer.load_state_dict(saved["optimizer"])
        if self.meta_optimizer is not None:
            self.meta_optimizer.load_state_dict(saved["meta_optimizer"])
        for schedule, state in zip(self.schedules, saved["schedules"], strict=True):
            schedule.load_state_dict(state)
        torch.set_rng_state(saved["rng"])
        if saved["cuda_rng"]:
            torch.cuda.set_rng_state_all(saved["cuda_rng"])
