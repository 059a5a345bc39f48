"""Cross entropy against smoothed labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from metaloss.losses.base import LossFamily
from metaloss.losses.hyperparameter import Hyperparameter
from metaloss.losses.numerics import at_label


@dataclass(frozen=True)
class LabelSmoothing(LossFamily):
    r"""Cross entropy against labels mixed with the uniform distribution.

    .. math:: \mathcal{L} = -(1 - \epsilon) \log f_y - \frac{\epsilon}{c} \sum_j \log f_j

    At :math:`\epsilon = 1` the label has no influence.

    Example:
        >>> from metaloss.losses import LabelSmoothing
        >>> import torch
        >>> LabelSmoothing()(torch.zeros(1, 2), torch.tensor([0]), torch.tensor([[0.1]]))
        tensor([0.6931])

    References:
        Szegedy et al., Rethinking the inception architecture for computer vision, 2016; its default
        is theirs.
    """

    hyperparameters: ClassVar[tuple[Hyperparameter, ...]] = (
        Hyperparameter("epsilon", low=0.0, high=1.0, default=0.1, clean=0.0, noisy=1.0),
    )

    def per_sample(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        hparams: Float[Tensor, "batch 1"],
    ) -> Float[Tensor, " batch"]:
        """Return the loss of each sample."""
        (epsilon,) = hparams.unbind(dim=1)
        log_p = outputs.log_softmax(dim=1)
        own = at_label(log_p, targets)
        return -((1 - epsilon) * own + epsilon * log_p.mean(dim=1))
