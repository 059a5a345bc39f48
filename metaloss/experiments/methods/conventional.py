"""Fixed hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from metaloss.experiments.methods.method import Method
from metaloss.losses import LossFamily
from metaloss.objective import AdjustedLoss
from metaloss.types import TaskLike


@dataclass(frozen=True, kw_only=True)
class Conventional(Method):
    """The same hyperparameters for every sample (Eq. 6).

    Args:
        name: the name in tables and folders.
        loss: the loss family.
        values: hyperparameter values by name; the rest have their defaults.

    Example:
        >>> from metaloss.experiments import Conventional
        >>> from metaloss.losses import GCE
        >>> Conventional(name="GCE", loss=GCE(), values={"q": 0.5}).learns
        False
    """

    loss: LossFamily
    values: Mapping[str, float] | None = None

    def criterion(self, task: TaskLike) -> AdjustedLoss:  # noqa: ARG002 - the same for each
        """Return the loss with constant hyperparameters."""
        return AdjustedLoss.fixed(self.loss, self.values)
