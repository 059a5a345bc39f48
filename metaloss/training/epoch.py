"""What is known of the epoch that is being trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from metaloss.training.epoch_checks import EpochChecks
from metaloss.training.epoch_metrics import EpochMetrics


@dataclass
class Epoch:
    """The means and the checks of an unfinished epoch.

    Attributes:
        metrics: the means over its samples and meta steps.
        checks: whether its steps were finite.
    """

    metrics: EpochMetrics
    checks: EpochChecks = field(default_factory=EpochChecks)

    def state_dict(self) -> dict[str, Any]:
        """Return both, as a checkpoint in the middle of an epoch has them."""
        return {**self.metrics.state_dict(), **self.checks.state_dict()}

    def load_state_dict(self, saved: Mapping[str, Any], device: torch.device) -> None:
        """Restore what :meth:`state_dict` returned, on ``device``."""
        self.metrics.load_state_dict(saved, device)
        self.checks.load_state_dict(saved, device)
