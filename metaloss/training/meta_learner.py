"""The training of the adjuster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from metaloss.adjusters import BaseAdjuster
from metaloss.training.non_finite import step_if
from metaloss.training.recipe import Recipe


class MetaGradient(NamedTuple):
    """The hypergradient of one task.

    Attributes:
        hypergradient: the hypergradient by the name of the adjuster's parameter.
        finite: whether the whole hypergradient is finite, a boolean scalar on the data's device.
    """

    hypergradient: Mapping[str, Tensor]
    finite: Tensor


@dataclass
class MetaLearner:
    """The training of the adjuster, shared by all networks that it learns from.

    Attributes:
        adjuster: the adjuster to train.
        optimizer: the optimizer of its parameters.
        schedules: learning-rate schedulers, stepped once per epoch.
        steps: the number of steps taken.
        snapshots: the parameters at each fraction of training reached so far.
    """

    adjuster: BaseAdjuster
    optimizer: torch.optim.Optimizer
    schedules: list[Any] = field(default_factory=list)
    steps: int = 0
    snapshots: list[tuple[float, dict[str, Tensor]]] = field(default_factory=list)

    @classmethod
    def start(cls, adjuster: BaseAdjuster, recipe: Recipe) -> MetaLearner | None:
        """Return the state before the first step; ``None`` if the adjuster has nothing to learn."""
        theta = [p for p in adjuster.parameters() if p.requires_grad]
        if not theta:
            return None
        optimizer = recipe.meta_optimizer(theta)
        made = recipe.meta_schedule
        return cls(adjuster, optimizer, [] if made is None else [made(optimizer)])

    def learn(self, meta_gradients: Sequence[MetaGradient]) -> None:
        """Take a step along the mean of the hypergradients (Eq. 11), if all of them are finite.

        Args:
            meta_gradients: the hypergradients of one or more tasks, one per task.
        """
        for name, theta in self.adjuster.named_parameters():
            found = [g.hypergradient[name] for g in meta_gradients if name in g.hypergradient]
            theta.grad = torch.stack(found).mean(dim=0) if found else None
        finite = torch.stack([meta_gradient.finite for meta_gradient in meta_gradients]).all()
        step_if(finite, self.optimizer)
        self.optimizer.zero_grad(set_to_none=True)
        self.steps += 1

    def keep_snapshot(self, fraction: float) -> None:
        r"""Keep a copy of the current parameters as :math:`\theta^{(k)}`."""
        state = self.adjuster.state_dict()
        copied = {name: value.detach().cpu().clone() for name, value in state.items()}
        self.snapshots.append((fraction, copied))

    def state_dict(self) -> dict[str, Any]:
        """Return the state without the adjuster's parameters, which the criterion's state has."""
        return {
            "steps": self.steps,
            "snapshots": self.snapshots,
            "optimizer": self.optimizer.state_dict(),
            "schedules": [schedule.state_dict() for schedule in self.schedules],
        }

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Restore the result of :meth:`state_dict`."""
        self.steps = saved["steps"]
        self.snapshots = [(fraction, state) for fraction, state in saved["snapshots"]]
        self.optimizer.load_state_dict(saved["optimizer"])
        for schedule, state in zip(self.schedules, saved["schedules"], strict=True):
            schedule.load_state_dict(state)
