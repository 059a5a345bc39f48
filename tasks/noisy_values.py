"""The record of what corruption did to a set of values."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from metaloss.checks import check_finite, require


@dataclass(frozen=True)
class NoisyValues:
    """Values after corruption, and those before it.

    Attributes:
        targets: the values to train on, ``[samples, values]``.
        original: what they were made from, likewise.

    Raises:
        InputError: two shapes, or a value that is not finite.

    Example:
        >>> import torch
        >>> from metaloss.tasks import NoisyValues
        >>> NoisyValues(torch.tensor([[1.0], [5.0]]), torch.tensor([[1.0], [2.0]])).flipped
        tensor([False,  True])
    """

    targets: Float[Tensor, "samples values"]
    original: Float[Tensor, "samples values"]

    def __post_init__(self) -> None:
        """Check that the two go together."""
        require(
            self.targets.shape == self.original.shape,
            f"targets and original: expected one shape, got {list(self.targets.shape)} and "
            f"{list(self.original.shape)}",
        )
        check_finite("targets", self.targets)

    @property
    def flipped(self) -> Bool[Tensor, " samples"]:
        """Which samples' values are not the original ones."""
        return (self.targets != self.original).any(dim=1)

    @property
    def rate(self) -> float:
        """The share of samples that are corrupted."""
        return float(self.flipped.double().mean())


def corrupted(
    targets: Float[Tensor, "samples values"], chosen: Bool[Tensor, " samples"], wrong: Tensor
) -> NoisyValues:
    """The record of values of which the chosen samples have others.

    Args:
        targets: the original values.
        chosen: which samples to corrupt.
        wrong: what those get, ``[samples, values]``.
    """
    return NoisyValues(torch.where(chosen.unsqueeze(1), wrong, targets), targets)
