"""Class-dependent noise: the condition of Theorems 2 and 4."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from metaloss.checks import InputError, check_at_least, check_in_range, require, seen


class Lost(NamedTuple):
    """A class that does not keep its own label most often.

    Attributes:
        label: the class.
        other: the label that its samples have at least as often.
        kept: the probability of its own label.
        flipped: the probability of the other one.
    """

    label: int
    other: int
    kept: float
    flipped: float


def lost_classes(transition: Float[Tensor, "classes classes"]) -> list[Lost]:
    r"""Return the classes that break the condition of Theorem 2.

    A symmetric loss tolerates class-dependent noise if each class keeps its own label most often,
    :math:`T_{ii} > T_{ij}` for :math:`j \neq i`. For symmetric noise this is a rate below
    :math:`1 - 1/c` (Theorem 1).

    Args:
        transition: row ``i`` is the distribution of the noisy label of class ``i``.

    Returns:
        Those classes, the worst first.

    Example:
        >>> import torch
        >>> from metaloss.theory import lost_classes
        >>> lost_classes(torch.tensor([[0.75, 0.25], [0.75, 0.25]]))
        [Lost(label=1, other=0, kept=0.25, flipped=0.75)]

    References:
        Ghosh et al., Robust loss functions under label noise for deep neural networks, 2017.
    """
    own = transition.diagonal()
    among_others = transition.clone().fill_diagonal_(-1.0)
    most, other = among_others.max(dim=1)
    beyond = own - most < 1e-9  # equal is not enough, and 1 - 0.9 and 0.9 / 9 differ by rounding
    worst = (own - most).argsort(stable=True)
    return [
        Lost(int(i), int(other[i]), float(own[i]), float(most[i])) for i in worst if bool(beyond[i])
    ]


def symmetric_transition(num_classes: int, rate: float) -> Float[Tensor, "classes classes"]:
    r"""Return the matrix of symmetric noise: :math:`1 - \eta`, and :math:`\eta / (c - 1)`.

    Args:
        num_classes: :math:`c`, at least 2.
        rate: :math:`\eta`, in [0, 1].

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> from metaloss.theory import symmetric_transition
        >>> symmetric_transition(3, 0.5).tolist()
        [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.25, 0.25, 0.5]]
    """
    c = check_at_least("num_classes", num_classes, 2)
    check_in_range("rate", rate, 0.0, 1.0)
    others = torch.full((c, c), rate / (c - 1), dtype=torch.float64)
    return others.fill_diagonal_(1 - rate)


def check_transition(transition: Float[Tensor, "classes classes"]) -> None:
    """Raise :class:`InputError` unless these are distributions that Theorems 2 and 4 allow."""
    require(
        isinstance(transition, Tensor)
        and transition.ndim == 2
        and transition.shape[0] == transition.shape[1] >= 2,
        f"transition: expected a tensor [classes, classes], got {seen(transition)}",
    )
    sums = transition.sum(dim=1)
    require(
        bool((transition >= 0).all() and (sums - 1).abs().max() < 1e-6),
        "transition: expected rows that are distributions, got values from "
        f"{float(transition.min()):.4g} and rows that sum to {float(sums.min()):.4g} .. "
        f"{float(sums.max()):.4g}",
    )
    lost_ones = lost_classes(transition)
    if lost_ones:
        lost = lost_ones[0]
        raise InputError(
            "transition: expected classes that keep their own labels most often (Theorem 2), but "
            f"class {lost.label} keeps its own with probability {lost.kept:.3g} and becomes class "
            f"{lost.other} with {lost.flipped:.3g}",
        )


def mean_kept(
    transition: Float[Tensor, "classes classes"], class_probs: Sequence[float] | None = None
) -> float:
    r"""Return the probability that a label is right, :math:`\mathbb{E}(1 - \eta_{\mathbf{x}})`.

    Args:
        transition: row ``i`` is the distribution of the noisy label of class ``i``.
        class_probs: the probability of each class; equal ones if not given.

    Raises:
        InputError: ``class_probs`` is not a distribution over the classes.
    """
    c = len(transition)
    probs = [1 / c] * c if class_probs is None else list(class_probs)
    require(
        len(probs) == c and min(probs) >= 0 and abs(sum(probs) - 1) < 1e-6,
        f"class_probs: expected a distribution over {c} classes, got {probs}",
    )
    return float(transition.double().diagonal() @ torch.tensor(probs, dtype=torch.float64))
