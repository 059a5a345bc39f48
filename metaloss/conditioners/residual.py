"""The absolute residual, for regression."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from metaloss.conditioners.base import Conditioner
from metaloss.kinds import REGRESSION
from metaloss.losses.numerics import full_precision


class Residual(Conditioner):
    r"""The absolute residual, :math:`|z - y|`, the counterpart of the margin for regression.

    It is averaged over a sample's values. It has the targets' units: scale targets to a standard
    deviation of 1 if the adjuster is to be used on other data.

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
        """Return the absolute residual of each sample."""
        return REGRESSION.score(full_precision(outputs), targets).unsqueeze(1)
