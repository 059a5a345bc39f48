"""The bi-tempered logistic loss, whose two temperatures an adjuster can predict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from metaloss.losses import Hyperparameter, LossFamily

ITERATIONS = 8


@dataclass(frozen=True)
class BiTempered(LossFamily):
    r"""Cross entropy with a tempered logarithm and a tempered softmax.

    .. math:: \mathcal{L} = -\log_{t_1} p_y - \frac{1 - \sum_j p_j^{2 - t_1}}{2 - t_1},
              \qquad p = \exp_{t_2}(z - \lambda(z))

    :math:`t_1 < 1` bounds the loss, :math:`t_2 > 1` gives the softmax a heavy tail. In the middle
    of the ranges both are so strong that a fresh network learns next to nothing.

    References:
        Amid et al., Robust bi-tempered logistic loss based on Bregman divergences, 2019.
    """

    hyperparameters: ClassVar[tuple[Hyperparameter, ...]] = (
        Hyperparameter("t1", low=0.1, high=0.99, default=0.8),
        Hyperparameter("t2", low=1.01, high=4.0, default=1.2),
    )

    def per_sample(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        hparams: Float[Tensor, "batch 2"],
    ) -> Float[Tensor, " batch"]:
        """The loss of each sample."""
        t1, t2 = hparams.unsqueeze(1).unbind(dim=2)
        p = _tempered_softmax(outputs, t2)
        own = p.gather(1, targets.unsqueeze(1))
        surplus = 1 - (p ** (2 - t1)).sum(dim=1, keepdim=True)
        return (-_log(own, t1) - surplus / (2 - t1)).squeeze(1)


def _tempered_softmax(outputs: Tensor, t: Tensor) -> Tensor:
    """The authors' fixed-point iteration for the normalisation."""
    shifted = outputs - outputs.amax(dim=1, keepdim=True).detach()
    scaled = shifted
    for _ in range(ITERATIONS):
        scaled = shifted * _exp(scaled, t).sum(dim=1, keepdim=True) ** (1 - t)
    total = _exp(scaled, t).sum(dim=1, keepdim=True)
    return _exp(shifted + _log(1 / total, t), t)


def _log(u: Tensor, t: Tensor) -> Tensor:
    return (u ** (1 - t) - 1) / (1 - t)


def _exp(u: Tensor, t: Tensor) -> Tensor:
    return (1 + (1 - t) * u) ** (1 / (1 - t))
