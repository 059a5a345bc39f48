"""The sum of PolySoft over the labels: its exact range, and Lemma 1 as printed."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from metaloss.checks import check_at_least, require
from metaloss.losses import PolySoft
from metaloss.theory.of_probability import at_probability

_POINTS, _ROUNDS = 513, 8  # each round narrows the interval 256 times


def lemma_1(num_classes: int, lam: float, d: float) -> tuple[float, float]:
    r"""Return the bounds of Lemma 1 on the sum of PolySoft over the labels.

    .. math:: \frac{c (d - 1) \log c}{d} \le \sum_{j=1}^c \mathcal{L}_{Poly}(f, j)
              \le \frac{c (d - 1) \lambda}{d}

    The last term of the paper's proof has :math:`\lambda` where :math:`\log c` is meant. The proof
    also leaves out outputs with :math:`\mathcal{L}_{CE} \ge \lambda`. With these the lower bound
    holds for :math:`\lambda \ge 1 + \log c`, and fails for :math:`\lambda < c \log c / (c - 1)`:
    the sum of a one-hot output is :math:`(c - 1) (d - 1) \lambda / d`. The upper bound always
    holds. :func:`~metaloss.theory.class_sum_bounds` gives the exact range for every
    :math:`\lambda`.

    Args:
        num_classes: :math:`c`, at least 2.
        lam: :math:`\lambda`, at least :math:`1 + \log c`.
        d: above 1.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> from metaloss.theory import lemma_1
        >>> [round(bound, 4) for bound in lemma_1(10, lam=4.0, d=2.0)]
        [11.5129, 20.0]
    """
    c = check_at_least("num_classes", num_classes, 2)
    require(d > 1, f"d: expected a number above 1, got {d!r}")
    require(
        lam >= (1 + math.log(c)) * (1 - 1e-12),
        f"lam: expected at least 1 + log {c} = {1 + math.log(c):.4g} (Lemma 1), got {lam!r}",
    )
    return c * (d - 1) / d * math.log(c), c * (d - 1) / d * lam


def exact_sums(num_classes: int, lam: float, d: float) -> tuple[float, float]:
    r"""Return the smallest and the largest sum of PolySoft over the labels.

    As a function of a class's probability, the loss is concave up to
    :math:`p_0 = \exp(-\lambda + 1 / (d - 1))` and convex beyond. So a largest sum has at most one
    probability beyond :math:`p_0`, and the others are equal. A smallest sum has equal
    probabilities beyond :math:`p_0`, at most one between 0 and :math:`p_0`, and zeros. One free
    number is left, which is searched on a grid that is refined eight times.

    Args:
        num_classes: :math:`c`, at least 1.
        lam: :math:`\lambda`, at least 0.
        d: above 1.

    Example:
        >>> from metaloss.theory.polysoft_sums import exact_sums
        >>> [round(bound, 4) for bound in exact_sums(10, lam=4.0, d=2.0)]
        [16.3081, 18.1848]
    """
    c = num_classes

    def loss(p: Tensor) -> Tensor:
        return at_probability(PolySoft(), p, {"lam": lam, "d": d})

    def with_one_other(r: Tensor) -> Tensor:
        """K equal probabilities, one of r, and zeros; a row for each K from 1 to c - 1."""
        equal = torch.arange(1, c, dtype=r.dtype)[:, None]
        zeros = loss(torch.zeros_like(r)) * (c - 1 - equal)
        return equal * loss((1 - r) / equal) + loss(r) + zeros

    def with_equal_others(p: Tensor) -> Tensor:
        rest = (1 - (c - 1) * p).clamp_min(0.0)
        return -(c - 1) * loss(p) - loss(rest)

    uniform = c * float(loss(torch.tensor(1 / c, dtype=torch.float64)))
    if c == 1:
        return uniform, uniform
    inflection = math.exp(min(0.0, -lam + 1 / (d - 1)))
    low = _lowest(with_one_other, torch.full((c - 1,), inflection, dtype=torch.float64))
    high = -_lowest(with_equal_others, torch.tensor([1 / (c - 1)], dtype=torch.float64))
    return min(low, uniform), high


def _lowest(of: Callable[[Tensor], Tensor], high: Tensor) -> float:
    """Return the smallest value of a function on [0, high], a row for each entry of ``high``."""
    low, grid = torch.zeros_like(high), torch.linspace(0, 1, _POINTS, dtype=torch.float64)
    best = math.inf
    for _ in range(_ROUNDS):
        points = low[:, None] + (high - low)[:, None] * grid
        values = of(points)
        best = min(best, float(values.min()))
        at = values.argmin(dim=1, keepdim=True)
        low = points.gather(1, (at - 1).clamp_min(0)).squeeze(1)
        high = points.gather(1, (at + 1).clamp_max(_POINTS - 1)).squeeze(1)
    return best
