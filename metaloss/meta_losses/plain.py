"""The plain losses as meta losses, for meta samples whose targets are right."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from metaloss.kinds import CLASSIFICATION, REGRESSION, Kind
from metaloss.losses.numerics import full_precision
from metaloss.meta_losses.base import MetaLoss


@dataclass(frozen=True)
class CrossEntropy(MetaLoss):
    """Cross entropy, the paper's meta loss for clean samples (Eq. 9).

    It is not symmetric: on noisy labels its minimiser is a network that fits the noise.

    Example:
        >>> import torch
        >>> from metaloss.meta_losses import CrossEntropy
        >>> CrossEntropy()(torch.zeros(1, 2), torch.tensor([0])), CrossEntropy().symmetric
        (tensor(0.6931), False)
    """

    symmetric = False

    def fits(self, kind: Kind) -> bool:
        """Whether the targets are classes."""
        return kind == CLASSIFICATION

    def per_sample(
        self, outputs: Float[Tensor, "batch classes"], targets: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """Return the loss of each sample."""
        return CLASSIFICATION.losses(full_precision(outputs), targets)


@dataclass(frozen=True)
class SquaredError(MetaLoss):
    """Half the squared error, for regression with targets that are right.

    Example:
        >>> import torch
        >>> from metaloss.meta_losses import SquaredError
        >>> SquaredError()(torch.tensor([[3.0]]), torch.tensor([[1.0]]))
        tensor(2.)
    """

    symmetric = False

    def fits(self, kind: Kind) -> bool:
        """Whether the targets are values."""
        return kind == REGRESSION

    def per_sample(
        self, outputs: Float[Tensor, "batch values"], targets: Float[Tensor, "batch values"]
    ) -> Float[Tensor, " batch"]:
        """Return the loss of each sample."""
        return REGRESSION.losses(full_precision(outputs), full_precision(targets))
