"""The base class of conditioners that wrap another one."""

from __future__ import annotations

from jaxtyping import Bool, Int
from torch import Tensor

from metaloss.conditioners.base import Conditioner, observed
from metaloss.types import Outputs, Targets


class Wrapper(Conditioner):
    """A conditioner that wraps another one, has as many features and passes its hooks on.

    Args:
        conditioner: the wrapped conditioner.
    """

    def __init__(self, conditioner: Conditioner) -> None:
        super().__init__()
        self.conditioner = conditioner
        self.kind = conditioner.kind
        self.num_features = conditioner.num_features
        self.needs_index = self.needs_index or conditioner.needs_index

    @property
    def remembers(self) -> bool:
        """Whether it has a memory, or the wrapped conditioner does."""
        return type(self).observe is not Wrapper.observe or self.conditioner.remembers

    def prepare(self, targets: Targets, num_classes: int | None) -> None:
        """Prepare the wrapped conditioner. Subclasses also reset their own memory."""
        self.conditioner.prepare(targets, num_classes)

    def observe(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
        kept: Bool[Tensor, " batch"] | None = None,
    ) -> None:
        """Update the wrapped conditioner's memory."""
        observed(self.conditioner, outputs, targets, index, kept)

    def set_progress(self, fraction: float) -> None:
        """Set the wrapped conditioner's progress."""
        self.conditioner.set_progress(fraction)
