"""Generalized cross entropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from metaloss.losses.hyperparameter import Hyperparameter
from metaloss.losses.numerics import expm1_quotient
from metaloss.losses.of_label import OfLabel


@dataclass(frozen=True)
class GCE(OfLabel):
    r"""Generalized cross entropy, from cross entropy (:math:`q \to 0`) to half MAE (:math:`q = 1`).

    .. math:: \mathcal{L}_{GCE} = \frac{1 - f_y^q}{q}    \qquad\text{(Eq. 2)}

    Example:
        >>> import torch
        >>> from metaloss.losses import GCE
        >>> GCE()(torch.zeros(1, 2), torch.tensor([0]), torch.tensor([[1.0]]))
        tensor([0.5000])

    References:
        Zhang and Sabuncu, Generalized cross entropy loss for training deep neural networks with
        noisy labels, 2018; its default is theirs.
    """

    hyperparameters: ClassVar[tuple[Hyperparameter, ...]] = (
        Hyperparameter("q", low=0.0, high=1.0, default=0.7, clean=0.0, noisy=1.0),
    )

    def of_log_prob(
        self, log_p: Float[Tensor, " batch"], hparams: Float[Tensor, "batch 1"]
    ) -> Float[Tensor, " batch"]:
        """Return the loss of each sample."""
        (q,) = hparams.unbind(dim=1)
        # 1 - p^q = -expm1(q log p)
        return -expm1_quotient(log_p, q)

    def weight(
        self, log_p: Float[Tensor, " batch"], hparams: Float[Tensor, "batch 1"]
    ) -> Float[Tensor, " batch"]:
        """Return :math:`f_y^q`."""
        (q,) = hparams.unbind(dim=1)
        return torch.exp(q * log_p)
