"""What conditioners that are made of another one have in common."""

from __future__ import annotations

from jaxtyping import Int
from torch import Tensor

from metaloss.conditioners.base import Conditioner
from metaloss.types import Outputs, Targets


class Wrapper(Conditioner):
    """A conditioner made of another one, with as many features; the hooks are passed on.

    Args:
        conditioner: the other one.
    """

    def __init__(self, conditioner: Conditioner) -> None:
        super().__init__()
        self.conditioner = conditioner
        self.kind = conditioner.kind
        self.num_features = conditioner.num_features
        self.needs_index = self.needs_index or conditioner.needs_index

    def prepare(self, targets: Targets, num_classes: int | None) -> None:
        """Pass it on; what is remembered here is forgotten."""
        self.conditioner.prepare(targets, num_classes)

    def observe(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
    ) -> None:
        """Pass it on."""
        self.conditioner.observe(outputs, targets, index)

    def set_progress(self, fraction: float) -> None:
        """Pass it on."""
        self.conditioner.set_progress(fraction)
