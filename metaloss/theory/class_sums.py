"""Definitions 2 and 3: the sum of a loss over all labels, whether it is constant or bounded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from metaloss.checks import check_at_least
from metaloss.kinds import CLASSIFICATION
from metaloss.losses import LossFamily, PolySoft
from metaloss.theory.of_probability import at_probability, filled, largest, of_paper
from metaloss.theory.polysoft_sums import exact_sums


class ClassSums(NamedTuple):
    r"""The range of the sum of a loss over all labels (Definition 3).

    Attributes:
        low: :math:`C_L`, the smallest sum of any output.
        high: :math:`C_U`, the largest one; infinite if there is none.
    """

    low: float
    high: float

    @property
    def spread(self) -> float:
        """The difference of the two."""
        return 0.0 if self.symmetric else self.high - self.low

    @property
    def symmetric(self) -> bool:
        """Whether the sum is constant (Definition 2), up to rounding."""
        return self.high - self.low <= 1e-12 * abs(self.high) if self.bounded else False

    @property
    def bounded(self) -> bool:
        """Whether both bounds are finite (Definition 3)."""
        return math.isfinite(self.high)


def class_sums(
    loss: LossFamily,
    outputs: Float[Tensor, "batch classes"],
    values: Mapping[str, float] | None = None,
) -> Float[Tensor, " batch"]:
    r"""Return the sum of a loss over all labels, :math:`\sum_{j=1}^c \mathcal{L}(f, j)`.

    Args:
        loss: a loss family for classes.
        outputs: logits ``[batch, classes]``.
        values: hyperparameter values by name; the others have their defaults.

    Returns:
        A sum for each output, ``[batch]``.

    Raises:
        InputError: an unknown name, or ``outputs`` are not logits.

    Example:
        >>> import torch
        >>> from metaloss.losses import MAE
        >>> from metaloss.theory import class_sums
        >>> class_sums(MAE(), torch.tensor([[0.0, 0.0, 0.0], [9.0, 1.0, 0.0]]))
        tensor([4.0000, 4.0000])
    """
    row = list(filled(loss, values).values())
    every = torch.arange(outputs.shape[-1], device=outputs.device)
    labels = every.expand(len(outputs), -1)
    hparams = loss.constant(len(outputs), row, like=outputs)
    return torch.stack([loss(outputs, labels[:, j], hparams) for j in every.tolist()]).sum(dim=0)


def is_symmetric(loss: LossFamily, values: Mapping[str, float] | None = None) -> bool:
    """Return whether the sum over all labels is the same for several random outputs (Definition 2).

    It takes any loss family; :func:`class_sum_bounds` gives the range for those of the paper.

    Args:
        loss: a loss family. One for regression is not symmetric.
        values: hyperparameter values by name; the others have their defaults.

    Raises:
        InputError: an unknown name.

    Example:
        >>> from metaloss.losses import GCE, ActivePassive
        >>> from metaloss.theory import is_symmetric
        >>> is_symmetric(GCE()), is_symmetric(GCE(), {"q": 1.0}), is_symmetric(ActivePassive())
        (False, True, True)
    """
    if loss.kind != CLASSIFICATION:
        return False
    with torch.device("cpu"):  # also where a model is being made on another device
        outputs = 4 * torch.randn(64, 5, generator=torch.Generator().manual_seed(0)).double()
        sums = class_sums(loss, outputs, values)
    return bool((sums - sums.mean()).abs().max() <= 1e-9 * sums.abs().max())


def class_sum_bounds(
    loss: LossFamily, num_classes: int, values: Mapping[str, float] | None = None
) -> ClassSums:
    r"""Return the smallest and the largest sum of a loss over all labels (Definition 3).

    .. math:: C_L = \min_f \sum_{j=1}^c \mathcal{L}(f, j), \qquad
              C_U = \max_f \sum_{j=1}^c \mathcal{L}(f, j)

    All losses but PolySoft are convex in :math:`f_y`: the smallest sum is that of the uniform
    output, the largest that of a one-hot output. For GCE these are :math:`(c - c^{1 - q}) / q` and
    :math:`(c - 1) / q`; for reverse cross entropy both are :math:`-A (c - 1)`. The range of
    PolySoft is searched, as other outputs may have smaller and larger sums. It is tighter than that
    of :func:`lemma_1`, and right for small :math:`\lambda` too.

    Args:
        loss: cross entropy, MAE, GCE, SL, PolySoft or JS.
        num_classes: :math:`c`, at least 2.
        values: hyperparameter values by name; the others have their defaults. They may be outside
            an adjuster's range: :math:`q \in [0, 1]`, :math:`\gamma_1, \gamma_2, \lambda \ge 0`,
            :math:`d > 1`, :math:`\pi_1 \in [0, 1]`.

    Raises:
        InputError: another family, an unknown name, or an argument out of range.

    Example:
        >>> from metaloss.losses import GCE, SL, CrossEntropy
        >>> from metaloss.theory import class_sum_bounds
        >>> class_sum_bounds(GCE(), 4, {"q": 0.5})
        ClassSums(low=4.0, high=6.0)
        >>> class_sum_bounds(SL(), 4, {"gamma_1": 0.0}).symmetric
        True
        >>> class_sum_bounds(CrossEntropy(), 4).bounded
        False
    """
    check_at_least("num_classes", num_classes, 2)
    return extremes(loss, num_classes, values)


def extremes(
    loss: LossFamily, num_classes: int, values: Mapping[str, float] | None = None
) -> ClassSums:
    """Return the same, also for one class, which Theorem 3 needs.

    Example:
        >>> from metaloss.losses import GCE
        >>> from metaloss.theory.class_sums import extremes
        >>> extremes(GCE(), 1)
        ClassSums(low=0.0, high=0.0)
    """
    loss, values = of_paper(loss, values)
    if isinstance(loss, PolySoft):
        return ClassSums(*exact_sums(num_classes, values["lam"], values["d"]))
    equal = torch.tensor(1 / num_classes, dtype=torch.float64)
    low = num_classes * float(at_probability(loss, equal, values))
    return ClassSums(low, (num_classes - 1) * largest(loss, values) if num_classes > 1 else low)
