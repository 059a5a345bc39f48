"""Several conditioners side by side."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from metaloss.checks import require
from metaloss.conditioners.base import Conditioner, observed, tracked
from metaloss.types import Outputs, Targets


class Concat(Conditioner):
    """Concatenates the features of several conditioners.

    Args:
        conditioners: one or more.

    Raises:
        InputError: no conditioner, or conditioners of different kinds.

    Example:
        >>> from metaloss.conditioners import Concat, LossValue, Margin
        >>> Concat([Margin(), LossValue()]).num_features
        2
    """

    def __init__(self, conditioners: Sequence[Conditioner]) -> None:
        super().__init__()
        require(
            isinstance(conditioners, Sequence | nn.ModuleList),
            f"Concat: expected a list of conditioners, got a {type(conditioners).__name__}",
        )
        require(len(conditioners) > 0, "Concat: expected one conditioner or more, got none")
        self.conditioners = nn.ModuleList(conditioners)
        self.num_features = sum(c.num_features for c in conditioners)
        self.needs_index = any(c.needs_index for c in conditioners)
        kinds = {c.kind for c in conditioners if c.kind is not None}
        require(
            len(kinds) <= 1,
            "Concat: expected conditioners for classes or for values, got some of each: "
            + ", ".join(type(c).__name__ for c in conditioners),
        )
        self.kind = next(iter(kinds), None)

    @property
    def remembers(self) -> bool:
        """Whether one of them does."""
        return any(c.remembers for c in self._parts())

    def prepare(self, targets: Targets, num_classes: int | None) -> None:
        """Call ``prepare`` of each."""
        for conditioner in self._parts():
            conditioner.prepare(targets, num_classes)

    def observe(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
        kept: Bool[Tensor, " batch"] | None = None,
    ) -> None:
        """Call ``observe`` of each."""
        for conditioner in self._parts():
            observed(conditioner, outputs, targets, index, kept)

    def track(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
        kept: Bool[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch features"]:
        """Return the features and update the memory of each."""
        parts = [tracked(c, outputs, targets, index, kept) for c in self._parts()]
        return torch.cat(parts, dim=1)

    def set_progress(self, fraction: float) -> None:
        """Call ``set_progress`` of each."""
        for conditioner in self._parts():
            conditioner.set_progress(fraction)

    def forward(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch features"]:
        """Return the features of each, in order."""
        return torch.cat([c(outputs, targets, index) for c in self._parts()], dim=1)

    def _parts(self) -> list[Conditioner]:
        return list(self.conditioners)  # type: ignore[arg-type]


def parts_of(conditioner: Conditioner) -> list[Conditioner]:
    """Return the conditioners that a concatenation consists of, or a single one alone.

    Example:
        >>> from metaloss.conditioners import Concat, Margin, Progress
        >>> from metaloss.conditioners.concat import parts_of
        >>> len(parts_of(Concat([Margin(), Concat([Margin(), Progress()])])))
        3
    """
    if not isinstance(conditioner, Concat):
        return [conditioner]
    return [inner for part in conditioner._parts() for inner in parts_of(part)]
