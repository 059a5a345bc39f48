"""Theorems 1 and 2: bounds for losses whose hyperparameters are shared by all samples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from metaloss.checks import check_at_least, check_in_range, require
from metaloss.losses import LossFamily
from metaloss.theory.class_sums import class_sum_bounds
from metaloss.theory.of_probability import largest, of_paper, titled
from metaloss.theory.transitions import check_transition, mean_kept


class RiskBounds(NamedTuple):
    r"""What label noise can do to the minimiser, :math:`f^*` without noise, :math:`\hat f` with it.

    Attributes:
        noisy: the upper bound of :math:`R^\eta(f^*) - R^\eta(\hat f)`, whose lower bound is 0.
        clean: the lower bound of :math:`R(f^*) - R(\hat f)`, whose upper bound is 0.
    """

    noisy: float
    clean: float


def coefficient(
    loss: LossFamily, num_classes: int, values: Mapping[str, float] | None = None
) -> float:
    r"""Return the coefficient of :math:`\eta / (c - 1)` in Theorem 1: Fig. 3, conventional losses.

    .. math:: C_U - C_L

    It is the spread of the sum over the labels. For GCE it is :math:`(c^{1 - q} - 1) / q`, for
    reverse cross entropy 0, and for JS :math:`\sum_i \mathcal{L}(\mathbf{e}_i, \mathbf{e}_1) -
    \sum_i \mathcal{L}(\mathbf{e}_i, \mathbf{u})`, in which the label is the first argument. For
    PolySoft the paper has :math:`c (d - 1) (\lambda - \log c) / d`, which is larger if
    :math:`\lambda \ge 1 + \log c`, and too small if :math:`\lambda` is near :math:`\log c`.

    Args:
        loss: GCE, SL with :math:`\gamma_1 = 0`, PolySoft, JS or MAE.
        num_classes: :math:`c`, at least 2.
        values: hyperparameter values by name; the others have their defaults.

    Raises:
        InputError: the loss is unbounded or not one of the paper's, or an argument is out of range.

    Example:
        >>> from metaloss.losses import GCE
        >>> from metaloss.theory import coefficient
        >>> round(coefficient(GCE(), 9, {"q": 0.5}), 6)
        4.0
    """
    sums = class_sum_bounds(loss, num_classes, values)
    require(
        sums.bounded,
        "loss: expected a bounded one (Definition 3), got "
        f"{titled(loss, values)}, which is infinite at probability 0",
    )
    return sums.spread


def theorem_1(
    loss: LossFamily,
    num_classes: int,
    rate: float,
    values: Mapping[str, float] | None = None,
) -> RiskBounds:
    r"""Return the bounds of Theorem 1, for symmetric noise.

    .. math:: 0 \le R^\eta(f^*) - R^\eta(\hat f) \le A = \frac{\eta}{c - 1} (C_U - C_L), \qquad
              0 \ge R(f^*) - R(\hat f) \ge A' = -\frac{\eta}{c - 1 - \eta c} (C_U - C_L)

    :func:`coefficient` gives :math:`C_U - C_L`. The bounds are those printed for GCE, reverse cross
    entropy and JS. Three things differ:

    - PolySoft: the printed bounds come from Lemma 1 and fail for :math:`\lambda` near
      :math:`\log c`. These hold for every :math:`\lambda`.
    - At :math:`\eta = 1 - 1/c` the printed :math:`A'` is a division by zero. There :math:`R(\hat
      f)` has no bound, not even for a symmetric loss, and :math:`A'` is minus infinity.
    - The printed :math:`A' < 0` is :math:`A' \le 0`: GCE with :math:`q = 1` has :math:`A' = 0`.

    Args:
        loss: GCE, SL with :math:`\gamma_1 = 0`, PolySoft, JS or MAE.
        num_classes: :math:`c`, at least 2.
        rate: :math:`\eta`, in :math:`[0, 1 - 1/c]`.
        values: hyperparameter values by name; the others have their defaults.

    Raises:
        InputError: the loss is unbounded or not one of the paper's, or an argument is out of range.

    Example:
        >>> from metaloss.losses import GCE
        >>> from metaloss.theory import theorem_1
        >>> [round(bound, 4) for bound in theorem_1(GCE(), 10, 0.4, {"q": 0.7})]
        [0.0632, -0.1137]
    """
    c = check_at_least("num_classes", num_classes, 2)
    check_in_range("rate", rate)
    remaining = 1 - rate * c / (c - 1)
    require(
        rate >= 0 and remaining > -1e-12,
        f"rate: expected a number in [0, 1 - 1/{c}] = [0, {1 - 1 / c:.6g}] (Theorem 1), "
        f"got {rate!r}",
    )
    noisy = rate / (c - 1) * coefficient(loss, c, values)
    # 1 - 1/c is not a binary number, so it is met up to rounding.
    return RiskBounds(noisy, -math.inf if remaining < 1e-12 else 0.0 - noisy / remaining)


def theorem_2(
    loss: LossFamily,
    transition: Float[Tensor, "classes classes"],
    values: Mapping[str, float] | None = None,
    *,
    class_probs: Sequence[float] | None = None,
) -> float:
    r"""Return the bound of Theorem 2, for class-dependent noise and :math:`R(f^*) = 0`.

    .. math:: 0 \le R^\eta(f^*) - R^\eta(\hat f) \le
              B = \Bigl(\sum_i \mathcal{L}(\mathbf{e}_i, \mathbf{e}_1) - C_L\Bigr)
              \mathbb{E}(1 - \eta_{\mathbf{x}})

    The sum is that of a one-hot output, which :math:`f^*` is: each input has one class. It is
    :math:`C_U`, and :math:`B` is as printed, for GCE, reverse cross entropy and JS. For PolySoft
    the printed :math:`c (d - 1) (\lambda - \log c) / d` comes from Lemma 1: it is larger if
    :math:`\lambda \ge 1 + \log c`, and too small if :math:`\lambda` is near :math:`\log c`.

    Args:
        loss: GCE, SL with :math:`\gamma_1 = 0`, PolySoft, JS or MAE.
        transition: row ``i`` is the distribution of the noisy label of class ``i``; each class
            keeps its own label most often.
        values: hyperparameter values by name; the others have their defaults.
        class_probs: the probability of each class; equal ones if not given.

    Raises:
        InputError: the loss is unbounded or not one of the paper's, a hyperparameter is out of
            range, a class does not keep its own label most often, or probabilities are not.

    Example:
        >>> import torch
        >>> from metaloss.losses import GCE
        >>> from metaloss.theory import theorem_2
        >>> flips = torch.tensor([[0.7, 0.3, 0.0], [0.0, 1.0, 0.0], [0.0, 0.4, 0.6]])
        >>> round(theorem_2(GCE(), flips, {"q": 0.5}), 4)
        1.1225
    """
    check_transition(transition)
    kept = mean_kept(transition, class_probs)
    coefficient(loss, len(transition), values)  # refuses losses without a bound
    family, given = of_paper(loss, values)
    sums = class_sum_bounds(family, len(transition), given)
    one_hot = (len(transition) - 1) * largest(family, given)
    return 0.0 if sums.symmetric else max(0.0, one_hot - sums.low) * kept
