"""Cross entropy and MAE, the two ends of most robust losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.losses.base import LossFamily
from metaloss.losses.hyperparameter import Hyperparameter
from metaloss.losses.numerics import true_class_log_prob


@dataclass(frozen=True)
class CrossEntropy(LossFamily):
    r"""Cross entropy, :math:`-\log f_y` (Eq. 1): it learns fast, and fits wrong labels too.

    Example:
        >>> from metaloss.losses import CrossEntropy
        >>> import torch
        >>> CrossEntropy()(torch.zeros(1, 2), torch.tensor([0]), torch.empty(1, 0))
        tensor([0.6931])
    """

    hyperparameters: ClassVar[tuple[Hyperparameter, ...]] = ()

    def per_sample(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        hparams: Float[Tensor, "batch 0"],  # noqa: ARG002 - it has none
    ) -> Float[Tensor, " batch"]:
        """Return the loss of each sample."""
        return -true_class_log_prob(outputs, targets)


@dataclass(frozen=True)
class MAE(LossFamily):
    r"""Mean absolute error, :math:`\lVert e_y - f \rVert_1 = 2 (1 - f_y)`, robust but slow.

    Example:
        >>> from metaloss.losses import MAE
        >>> import torch
        >>> MAE()(torch.zeros(1, 2), torch.tensor([0]), torch.empty(1, 0))
        tensor([1.])

    References:
        Ghosh et al., Robust loss functions under label noise for deep neural networks, 2017.
    """

    hyperparameters: ClassVar[tuple[Hyperparameter, ...]] = ()

    def per_sample(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        hparams: Float[Tensor, "batch 0"],  # noqa: ARG002 - it has none
    ) -> Float[Tensor, " batch"]:
        """Return the loss of each sample."""
        return -2 * torch.expm1(true_class_log_prob(outputs, targets))
