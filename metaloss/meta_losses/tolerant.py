"""Symmetric meta losses, for meta samples whose labels nobody checked."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.checks import is_number, require
from metaloss.kinds import CLASSIFICATION, REGRESSION, Kind
from metaloss.losses.numerics import full_precision, true_class_log_prob
from metaloss.meta_losses.base import MetaLoss
from metaloss.types import Outputs, Targets


@dataclass(frozen=True)
class MAE(MetaLoss):
    r"""The mean absolute error :math:`\lVert y - f \rVert_1`, for class labels and for values.

    For class labels it is :math:`2 (1 - f_y)`, where :math:`f` are the probabilities. This is
    symmetric, as :math:`\sum_j 2 (1 - f_j) = 2 (c - 1)`. For values it is the absolute error,
    averaged over a sample's values; its minimiser is the median of the targets.

    Example:
        >>> import torch
        >>> from metaloss.meta_losses import MAE
        >>> MAE()(torch.zeros(1, 2), torch.tensor([0])), MAE().symmetric
        (tensor(1.), True)
        >>> MAE()(torch.tensor([[3.0]]), torch.tensor([[1.0]]))
        tensor(2.)

    References:
        Ghosh et al., Robust loss functions under label noise for deep neural networks, 2017.
    """

    symmetric = True

    def fits(self, kind: Kind) -> bool:
        """Whether the targets are classes or values."""
        return kind in {CLASSIFICATION, REGRESSION}

    def per_sample(self, outputs: Outputs, targets: Targets) -> Float[Tensor, " batch"]:
        """Return the loss of each sample."""
        if targets.is_floating_point():
            return REGRESSION.score(full_precision(outputs), full_precision(targets))
        return -2 * torch.expm1(true_class_log_prob(full_precision(outputs), targets))


@dataclass(frozen=True)
class RCE(MetaLoss):
    r"""Reverse cross entropy, :math:`-A (1 - f_y)` (Eq. 3): MAE times :math:`-A / 2`.

    The meta optimizer of the paper, Adam, does not depend on the factor.

    Args:
        A: the value that replaces :math:`\log 0`; negative.

    Raises:
        InputError: ``A`` is not negative.

    Example:
        >>> import torch
        >>> from metaloss.meta_losses import RCE
        >>> RCE()(torch.zeros(1, 2), torch.tensor([0])), RCE().symmetric
        (tensor(2.), True)

    References:
        Wang et al., Symmetric cross entropy for robust learning with noisy labels, 2019.
    """

    A: float = -4.0
    symmetric = True

    def __post_init__(self) -> None:
        """Check ``A``."""
        negative = is_number(self.A) and -math.inf < self.A < 0
        require(negative, f"A: expected a negative number, got {self.A!r}")

    def fits(self, kind: Kind) -> bool:
        """Whether the targets are classes."""
        return kind == CLASSIFICATION

    def per_sample(
        self, outputs: Float[Tensor, "batch classes"], targets: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """Return the loss of each sample."""
        return self.A * torch.expm1(true_class_log_prob(full_precision(outputs), targets))
