"""The value of a loss."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from metaloss.conditioners.base import Conditioner
from metaloss.losses import CrossEntropy, LossFamily
from metaloss.losses.numerics import full_precision
from metaloss.types import Outputs, Targets


class LossValue(Conditioner):
    """The loss of a sample at default hyperparameters, the input of Meta-Weight-Net.

    Args:
        loss: a loss family; cross entropy if not given.

    Example:
        >>> import torch
        >>> from metaloss.conditioners import LossValue
        >>> LossValue()(torch.zeros(1, 2), torch.tensor([0]))
        tensor([[0.6931]])
    """

    num_features = 1

    def __init__(self, loss: LossFamily | None = None) -> None:
        super().__init__()
        self.loss = loss if loss is not None else CrossEntropy()
        self.kind = self.loss.kind

    def forward(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,  # noqa: ARG002
    ) -> Float[Tensor, "batch 1"]:
        """Return the loss of each sample."""
        outputs = full_precision(outputs)
        hparams = self.loss.constant(len(outputs), like=outputs)
        return self.loss(outputs, targets, hparams).unsqueeze(1)
