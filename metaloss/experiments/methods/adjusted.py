"""Hyperparameters that an adjuster learns in the same run."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from metaloss.adjusters import Adjuster, BaseAdjuster
from metaloss.conditioners import Conditioner, plain_conditioner
from metaloss.experiments.methods.method import Method
from metaloss.losses import LossFamily
from metaloss.objective import AdjustedLoss
from metaloss.pretrained import start_from
from metaloss.pretrained.spec import parts
from metaloss.types import TaskLike


@dataclass(frozen=True, kw_only=True)
class Adjusted(Method):
    """Hyperparameters predicted for each sample by a meta-trained adjuster (Eq. 8, 9).

    Args:
        name: the name in tables and folders.
        loss: the loss family.
        conditioner: computes the adjuster's features; each run has its own copy. By default the
            margin, or for regression the residual.
        adjuster: a function that makes the adjuster, called with ``num_features`` and
            ``hyperparameters``.
        detach: treat the features as constants in the derivatives.
        start: a saved adjuster, by folder or name, whose last snapshot is trained further. It
            needs the same features and hyperparameters. By default the adjuster is new.

    Raises:
        InputError: ``start`` has another loss, conditioner or size.

    Example:
        >>> from metaloss.experiments import Adjusted
        >>> from metaloss.losses import GCE
        >>> Adjusted(name="A-GCE", loss=GCE()).learns
        True
    """

    loss: LossFamily
    conditioner: Conditioner | None = None
    adjuster: Callable[..., BaseAdjuster] = Adjuster
    detach: bool = True
    start: str | Path | None = None
    learns: ClassVar[bool] = True

    @property
    def components(self) -> tuple[type, ...]:
        """The classes that the criterion is made of, as a saved adjuster's card names them."""
        with torch.random.fork_rng(devices=[]):  # the weights made here are thrown away
            made = self._fresh()
        return (*parts(made.loss), *parts(made.conditioner), *parts(made.adjuster))

    def criterion(self, task: TaskLike) -> AdjustedLoss:  # noqa: ARG002 - prepared by the loop
        """Return the loss with a new adjuster and a copy of the conditioner."""
        criterion = self._fresh()
        if self.start is not None:
            start_from(criterion, self.start, self.components)
        return criterion

    def _fresh(self) -> AdjustedLoss:
        conditioner = copy.deepcopy(self.conditioner)
        if conditioner is None:
            conditioner = plain_conditioner(self.loss.kind).conditioner
        adjuster = self.adjuster(
            num_features=conditioner.num_features, hyperparameters=self.loss.hyperparameters
        )
        return AdjustedLoss(self.loss, conditioner, adjuster, self.detach)
