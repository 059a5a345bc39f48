"""The margin in probabilities."""

from __future__ import annotations

import math

from jaxtyping import Float, Int
from torch import Tensor

from metaloss.checks import is_number, require
from metaloss.conditioners.base import Conditioner
from metaloss.conditioners.margin import Margin
from metaloss.losses.numerics import full_precision


class ProbabilityMargin(Conditioner):
    r"""The margin in probabilities, :math:`s (f_y - \max_{j \ne y} f_j)`, in [-s, s].

    Margins in logits grow with the network and with training. This margin has the same range for
    every network and number of classes.

    Args:
        scale: :math:`s`, above 0. With small features an adjuster learns slowly: 1 may take many
            more meta steps than 10, which is about the scale of margins in logits.

    Example:
        >>> import torch
        >>> from metaloss.conditioners import ProbabilityMargin
        >>> ProbabilityMargin()(torch.tensor([[0.0, 0.0, -100.0]]), torch.tensor([2]))
        tensor([[-0.5000]])
    """

    num_features = 1

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        fits = is_number(scale) and 0 < scale < math.inf
        require(fits, f"scale: expected a number above 0, got {scale!r}")
        self.scale = scale
        self._margin = Margin()

    def forward(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        index: Int[Tensor, " batch"] | None = None,  # noqa: ARG002
    ) -> Float[Tensor, "batch 1"]:
        """Return the margin of each sample."""
        return self.scale * self._margin(full_precision(outputs).softmax(dim=1), targets)
