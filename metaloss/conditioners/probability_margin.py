"""The margin in probabilities."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from metaloss.conditioners.base import Conditioner
from metaloss.conditioners.margin import Margin
from metaloss.losses.numerics import full_precision


class ProbabilityMargin(Conditioner):
    r"""The margin in probabilities, :math:`f_y - \max_{j \ne y} f_j`, in [-1, 1].

    Margins in logits grow with the network and with training; this one has the same range for
    every network and number of classes, which is what an adjuster needs that is to be carried over.

    Example:
        >>> import torch
        >>> from metaloss.conditioners import ProbabilityMargin
        >>> ProbabilityMargin()(torch.tensor([[0.0, 0.0, -100.0]]), torch.tensor([2]))
        tensor([[-0.5000]])
    """

    num_features = 1

    def __init__(self) -> None:
        super().__init__()
        self._margin = Margin()

    def forward(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        index: Int[Tensor, " batch"] | None = None,  # noqa: ARG002
    ) -> Float[Tensor, "batch 1"]:
        """The margin of each sample."""
        return self._margin(full_precision(outputs).softmax(dim=1), targets)
