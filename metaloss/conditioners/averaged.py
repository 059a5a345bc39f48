"""What conditioners that average another one's features have in common."""

from __future__ import annotations

from metaloss.conditioners.base import Conditioner, check_decay
from metaloss.types import Targets


class Averaged(Conditioner):
    """A conditioner made of another one, whose features it averages; the hooks are passed on.

    Args:
        conditioner: what to average.
        decay: in [0, 1): how much of the average stays when a value comes in.
    """

    def __init__(self, conditioner: Conditioner, decay: float) -> None:
        super().__init__()
        self.conditioner = conditioner
        self.decay = check_decay(decay)
        self.kind = conditioner.kind
        self.num_features = conditioner.num_features

    def prepare(self, targets: Targets, num_classes: int | None) -> None:
        """Pass it on; what is remembered here is forgotten."""
        self.conditioner.prepare(targets, num_classes)

    def set_progress(self, fraction: float) -> None:
        """Pass it on."""
        self.conditioner.set_progress(fraction)
