"""Hyperparameters set by what is known of the labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from metaloss.adjusters import OracleAdjuster
from metaloss.checks import InputError
from metaloss.conditioners import Flipped
from metaloss.experiments.methods.method import Method
from metaloss.losses import LossFamily
from metaloss.objective import AdjustedLoss
from metaloss.types import TaskLike


@dataclass(frozen=True, kw_only=True)
class Oracle(Method):
    """Hyperparameters set by an oracle that knows which labels are wrong (Section 2.4, Fig. 2).

    Args:
        name: the name in tables and folders.
        loss: the loss family.
        clean: hyperparameter values for correct labels, by name.
        noisy: hyperparameter values for wrong labels, by name.

    Example:
        >>> from metaloss.experiments import Oracle
        >>> from metaloss.losses import GCE
        >>> Oracle(name="oracle GCE", loss=GCE()).learns
        False
    """

    loss: LossFamily
    clean: Mapping[str, float] | None = None
    noisy: Mapping[str, float] | None = None
    informed: ClassVar[bool] = True

    def criterion(self, task: TaskLike) -> AdjustedLoss:
        """Return the loss with an adjuster that reads the task's ``flipped``."""
        if task.flipped is None:
            raise InputError(f"{self.name}: expected a task that knows its wrong labels, got none")
        adjuster = OracleAdjuster(self.loss.hyperparameters, self.clean, self.noisy)
        return AdjustedLoss(self.loss, Flipped(task.flipped), adjuster)
