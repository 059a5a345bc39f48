r"""Corruption of values: pure functions from targets and a generator to :class:`NoisyValues`.

It is to regression what label noise is to classification. Each function decides by one uniform
number per sample whether to corrupt it, so that at a greater rate the same samples are corrupted,
and more of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from metaloss.checks import check_finite, check_in_range, require

__all__ = ["NoisyValues", "replaced", "shifted"]

Values = Float[Tensor, "samples values"]


@dataclass(frozen=True)
class NoisyValues:
    """Values before and after corruption.

    Attributes:
        targets: the values after corruption, which are trained on, ``[samples, values]``.
        original: the values before corruption, likewise.

    Raises:
        InputError: the shapes differ, or a value is not finite.

    Example:
        >>> import torch
        >>> from metaloss.tasks import NoisyValues
        >>> NoisyValues(torch.tensor([[1.0], [5.0]]), torch.tensor([[1.0], [2.0]])).flipped
        tensor([False,  True])
    """

    targets: Values
    original: Values

    def __post_init__(self) -> None:
        """Check the two tensors."""
        require(
            self.targets.shape == self.original.shape,
            f"targets and original: expected one shape, got {list(self.targets.shape)} and "
            f"{list(self.original.shape)}",
        )
        check_finite("targets", self.targets)

    @property
    def flipped(self) -> Bool[Tensor, " samples"]:
        """Which samples have a value that differs from the original one."""
        return (self.targets != self.original).any(dim=1)

    @property
    def rate(self) -> float:
        """The fraction of samples that are corrupted."""
        return float(self.flipped.double().mean())

    def select(self, index: Int[Tensor, " chosen"]) -> NoisyValues:
        """Return the values of some of the samples, in the order given.

        Args:
            index: their positions, int64.
        """
        return NoisyValues(self.targets[index], self.original[index])


def replaced(targets: Values, rate: float, generator: torch.Generator) -> NoisyValues:
    """Replace the values of some samples by draws that are uniform over the range of the values.

    Like symmetric label noise: a corrupted value carries no information about the original one.

    Args:
        targets: the original values, ``[samples, values]``.
        rate: the probability of corruption, in [0, 1].
        generator: a CPU generator.

    Example:
        >>> import torch
        >>> from metaloss.tasks import corruption
        >>> values = torch.arange(1000.0).unsqueeze(1)
        >>> 0.35 < corruption.replaced(values, 0.4, torch.Generator().manual_seed(0)).rate < 0.45
        True
    """
    chosen = _chosen(targets, rate, generator)
    uniform = torch.rand(targets.shape, generator=generator, dtype=targets.dtype)
    low, high = targets.amin(dim=0), targets.amax(dim=0)
    return NoisyValues(torch.where(chosen, low + (high - low) * uniform, targets), targets)


def shifted(
    targets: Values, rate: float, generator: torch.Generator, shift: float = 3.0
) -> NoisyValues:
    """Add 0.5 to 1.5 times a shift to the values of some samples.

    Like asymmetric label noise: corrupted values all err in the same direction. They bias a mean
    and, at rates of a half and above, a median.

    Args:
        targets: the original values, ``[samples, values]``.
        rate: the probability of corruption, in [0, 1].
        generator: a CPU generator.
        shift: in standard deviations of the targets; if negative, corrupted values are too small.

    Example:
        >>> import torch
        >>> from metaloss.tasks import corruption
        >>> values = torch.arange(1000.0).unsqueeze(1)
        >>> noisy = corruption.shifted(values, 0.4, torch.Generator().manual_seed(0))
        >>> bool((noisy.targets >= values).all())
        True
    """
    check_in_range("shift", shift)
    chosen = _chosen(targets, rate, generator)
    lengths = 0.5 + torch.rand(targets.shape, generator=generator, dtype=targets.dtype)
    wrong = targets + shift * targets.std(dim=0) * lengths
    return NoisyValues(torch.where(chosen, wrong, targets), targets)


def _chosen(targets: Values, rate: float, generator: torch.Generator) -> Bool[Tensor, "samples 1"]:
    """Draw which samples to corrupt."""
    check_in_range("rate", rate, 0.0, 1.0)
    draws = torch.rand(len(targets), generator=generator, dtype=torch.float64)
    return (draws < rate).unsqueeze(1)
