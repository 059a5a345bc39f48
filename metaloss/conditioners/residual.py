"""The size of the residual, for regression."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from metaloss.conditioners.base import Conditioner
from metaloss.kinds import REGRESSION
from metaloss.losses.numerics import full_precision


class Residual(Conditioner):
    r"""The size of the residual, :math:`|z - y|`: what the margin is to classification.

    With several values a sample, the mean over them. It is in the targets' units: bring targets to
    a standard deviation of 1 where an adjuster shall be carried over.

    Example:
        >>> import torch
        >>> from metaloss.conditioners import Residual
        >>> Residual()(torch.tensor([[3.0]]), torch.tensor([[5.0]]))
        tensor([[2.]])
    """

    num_features = 1
    kind = REGRESSION

    def forward(
        self,
        outputs: Float[Tensor, "batch values"],
        targets: Float[Tensor, "batch values"],
        index: Int[Tensor, " batch"] | None = None,  # noqa: ARG002
    ) -> Float[Tensor, "batch 1"]:
        """The size of each sample's residual."""
        return REGRESSION.score(full_precision(outputs), targets).unsqueeze(1)
