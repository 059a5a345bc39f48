"""Weighted cross entropy, the loss of Meta-Weight-Net and CMW-Net."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from metaloss.losses.base import LossFamily
from metaloss.losses.hyperparameter import Hyperparameter
from metaloss.losses.numerics import true_class_log_prob


@dataclass(frozen=True)
class WeightedCE(LossFamily):
    r"""Cross entropy times a weight, :math:`v \, \mathcal{L}_{CE}`.

    Example:
        >>> from metaloss.losses import WeightedCE
        >>> import torch
        >>> WeightedCE()(torch.zeros(1, 2), torch.tensor([0]), torch.tensor([[0.5]]))
        tensor([0.3466])

    References:
        Shu et al., Meta-Weight-Net: learning an explicit mapping for sample weighting, 2019.
    """

    hyperparameters: ClassVar[tuple[Hyperparameter, ...]] = (
        Hyperparameter("weight", low=0.0, high=1.0, default=1.0, clean=1.0, noisy=0.0),
    )

    def per_sample(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        hparams: Float[Tensor, "batch 1"],
    ) -> Float[Tensor, " batch"]:
        """Return the loss of each sample."""
        (weight,) = hparams.unbind(dim=1)
        return -weight * true_class_log_prob(outputs, targets)
