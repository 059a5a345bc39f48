r"""Corruption of values: pure functions from targets and a generator to :class:`NoisyValues`.

What label noise is to classification. Each draws one uniform number a sample, which says whether it
is corrupted, so that a greater rate corrupts the same samples and more.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from metaloss.checks import check_in_range

from .noisy_values import NoisyValues, corrupted

__all__ = ["NoisyValues", "replaced", "shifted"]

Values = Float[Tensor, "samples values"]


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
    return corrupted(targets, chosen, low + (high - low) * even)


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
    return corrupted(targets, chosen, targets + shift * targets.std(dim=0) * lengths)


def _chosen(targets: Values, rate: float, generator: torch.Generator) -> Bool[Tensor, " samples"]:
    check_in_range("rate", rate, 0.0, 1.0)
    return torch.rand(len(targets), generator=generator, dtype=torch.float64) < rate
