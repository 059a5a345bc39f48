"""Barron's general robust loss, for regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from metaloss.kinds import REGRESSION, Kind
from metaloss.losses.base import LossFamily
from metaloss.losses.hyperparameter import Hyperparameter
from metaloss.losses.numerics import expm1_quotient


@dataclass(frozen=True)
class Barron(LossFamily):
    r"""Barron's general robust loss, which ranges from the squared error to bounded losses.

    .. math:: \rho(r, \alpha, c) = \frac{|\alpha - 2|}{\alpha} \left( \left(
              \frac{(r/c)^2}{|\alpha - 2|} + 1 \right)^{\alpha/2} - 1 \right)

    Here :math:`r` is the residual. The loss is a smooth absolute error at :math:`\alpha = 1`,
    Cauchy's loss at 0, and Geman and McClure's at -2. As :math:`\alpha` tends to 2 it becomes half
    the squared error; the smaller :math:`\alpha`, the smaller the gradient of residuals beyond the
    scale :math:`c`. The range ends below 2, where the derivative by :math:`\alpha` is unbounded.
    The loss of a sample is the mean over its values.

    Example:
        >>> from metaloss.losses import Barron
        >>> import torch
        >>> Barron()(torch.tensor([[3.0]]), torch.zeros(1, 1), torch.tensor([[1.0, 1.0]]))
        tensor([2.1623])

    References:
        Barron, A general and adaptive robust loss function, 2019, Eq. 1.
    """

    hyperparameters: ClassVar[tuple[Hyperparameter, ...]] = (
        Hyperparameter("alpha", low=-4.0, high=1.99, default=1.0, clean=1.99, noisy=-4.0),
        Hyperparameter("c", low=0.1, high=4.0, default=1.0),
    )
    kind: ClassVar[Kind] = REGRESSION

    def per_sample(
        self,
        outputs: Float[Tensor, "batch values"],
        targets: Float[Tensor, "batch values"],
        hparams: Float[Tensor, "batch 2"],
    ) -> Float[Tensor, " batch"]:
        """Return the loss of each sample."""
        alpha, c = hparams.unsqueeze(1).unbind(dim=2)
        squared = torch.square((outputs - targets) / c)
        away = 2 - alpha
        # b / a (u^(a/2) - 1) = b / 2 (exp(a/2 log u) - 1) / (a/2), which is smooth at a = 0.
        values = away / 2 * expm1_quotient(torch.log1p(squared / away), alpha / 2)
        return values.mean(dim=1)
