r"""Corruption of values: pure functions from targets and a generator to :class:`NoisyValues`.

What label noise is to classification. Each draws one uniform number a sample, which says whether it
is corrupted, so that a greater rate corrupts the same samples and more.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from metaloss.checks import check_finite, check_in_range, require

__all__ = ["NoisyValues", "replaced", "shifted"]

Values = Float[Tensor, "samples values"]


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


def replaced(targets: Values, rate: float, generator: torch.Generator) -> NoisyValues:
    """Some samples have a value drawn evenly between the least and the greatest there is.

    What symmetric noise is to labels: a wrong value says nothing of the right one.

    Args:
        targets: ``[samples, values]``.
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
    even = torch.rand(targets.shape, generator=generator, dtype=targets.dtype)
    low, high = targets.amin(dim=0), targets.amax(dim=0)
    return _corrupted(targets, chosen, low + (high - low) * even)


def shifted(
    targets: Values, rate: float, generator: torch.Generator, shift: float = 3.0
) -> NoisyValues:
    """Some samples' values are too great by half to one and a half times a shift.

    What asymmetric noise is to labels: wrong values agree on where they lead, so that a mean, and
    from a rate of a half on a median too, is led there.

    Args:
        targets: ``[samples, values]``.
        rate: the probability of corruption, in [0, 1].
        generator: a CPU generator.
        shift: in standard deviations of the targets; negative for values that are too small.

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
    return _corrupted(targets, chosen, targets + shift * targets.std(dim=0) * lengths)


def _chosen(targets: Values, rate: float, generator: torch.Generator) -> Bool[Tensor, " samples"]:
    check_in_range("rate", rate, 0.0, 1.0)
    return torch.rand(len(targets), generator=generator, dtype=torch.float64) < rate


def _corrupted(
    targets: Float[Tensor, "samples values"], chosen: Bool[Tensor, " samples"], wrong: Tensor
) -> NoisyValues:
    """The record of values of which the chosen samples have others.

    Args:
        targets: the original values.
        chosen: which samples to corrupt.
        wrong: what those get, ``[samples, values]``.
    """
    return NoisyValues(torch.where(chosen.unsqueeze(1), wrong, targets), targets)
