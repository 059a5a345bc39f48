"""Taylor cross entropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.losses.base import LossFamily
from metaloss.losses.hyperparameter import Hyperparameter
from metaloss.losses.numerics import true_class_log_prob

ORDERS = 10


@dataclass(frozen=True)
class TaylorCE(LossFamily):
    r"""The Taylor series of cross entropy, truncated; half MAE at :math:`t = 1`.

    .. math:: \mathcal{L} = \sum_{k=1}^{t} \frac{(1 - f_y)^k}{k}

    For fractional orders the last term is weighted: :math:`t = 2.5` has half of the third term.

    Example:
        >>> from metaloss.losses import TaylorCE
        >>> import torch
        >>> TaylorCE()(torch.zeros(1, 2), torch.tensor([0]), torch.tensor([[2.0]]))
        tensor([0.6250])

    References:
        Feng et al., Can cross entropy loss be robust to label noise?, 2020; its default is theirs.
    """

    hyperparameters: ClassVar[tuple[Hyperparameter, ...]] = (
        Hyperparameter("t", low=1.0, high=float(ORDERS), default=2.0, clean=10.0, noisy=1.0),
    )

    def per_sample(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        hparams: Float[Tensor, "batch 1"],
    ) -> Float[Tensor, " batch"]:
        """Return the loss of each sample."""
        order = torch.arange(1, ORDERS + 1, dtype=outputs.dtype, device=outputs.device)
        share = (hparams - order + 1).clamp(0, 1)
        s = -torch.expm1(true_class_log_prob(outputs, targets))
        return (share * s.unsqueeze(1) ** order / order).sum(dim=1)
