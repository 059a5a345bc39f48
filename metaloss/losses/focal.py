"""Focal loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.losses.base import LossFamily
from metaloss.losses.hyperparameter import Hyperparameter
from metaloss.losses.numerics import other_classes_log_prob, true_class_log_prob


@dataclass(frozen=True)
class Focal(LossFamily):
    r"""Focal loss, which gives well-classified samples a small weight.

    .. math:: \mathcal{L} = -(1 - f_y)^\gamma \log f_y

    The loss was designed for rare classes. With noisy labels, samples that stay misclassified are
    suspect, and a small :math:`\gamma` can be the better choice.

    Example:
        >>> from metaloss.losses import Focal
        >>> import torch
        >>> Focal()(torch.zeros(1, 2), torch.tensor([0]), torch.tensor([[2.0]]))
        tensor([0.1733])

    References:
        Lin et al., Focal loss for dense object detection, 2017; its default is theirs.
    """

    hyperparameters: ClassVar[tuple[Hyperparameter, ...]] = (
        Hyperparameter("gamma", low=0.0, high=5.0, default=2.0),
    )

    def per_sample(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        hparams: Float[Tensor, "batch 1"],
    ) -> Float[Tensor, " batch"]:
        """Return the loss of each sample."""
        (gamma,) = hparams.unbind(dim=1)
        log_s = other_classes_log_prob(outputs, targets)
        return -torch.exp(gamma * log_s) * true_class_log_prob(outputs, targets)
