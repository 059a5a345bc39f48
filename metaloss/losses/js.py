"""Jensen-Shannon divergence as a loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.losses.base import LossFamily
from metaloss.losses.hyperparameter import Hyperparameter
from metaloss.losses.numerics import log1p_ratio, true_class_log_prob
from metaloss.losses.sloped import only_slopes_count, sloped


@dataclass(frozen=True)
class JS(LossFamily):
    r"""Jensen-Shannon divergence, from cross entropy (:math:`\pi_1 \to 0`) to half MAE (1).

    .. math:: \mathcal{L}_{JS} = \frac{\pi_1 D_{KL}(y \| m) + \pi_2 D_{KL}(f \| m)}{Z},
              \quad m = \pi_1 y + \pi_2 f,\ \pi_2 = 1 - \pi_1,\ Z = -\pi_2 \log \pi_2
              \qquad\text{(Eq. 5)}

    With a one-hot label everything but the label's class gathers into one term: for
    :math:`p = f_y`, :math:`s = 1 - p` and :math:`m_y = p + \pi_1 s`,

    .. math:: \mathcal{L}_{JS} = s + \frac{-\pi_1 \log p - m_y \log(1 + \pi_1 s / p)}
              {-\pi_2 \log(1 - \pi_1)}

    The range stops short of both ends, where the derivative in :math:`\pi_1` grows without bound
    (at 0 like :math:`1/p`, at 1 like :math:`1 / (\pi_2 \log^2 \pi_2)`); the loss itself is defined
    on the whole of :math:`[0, 1)`.

    Example:
        >>> from metaloss.losses import JS
        >>> import torch
        >>> JS()(torch.zeros(1, 2), torch.tensor([0]), torch.tensor([[0.5]]))
        tensor([0.6226])

    References:
        Englesson and Azizpour, Generalized Jensen-Shannon divergence loss for learning with noisy
        labels, 2021.
    """

    hyperparameters: ClassVar[tuple[Hyperparameter, ...]] = (
        Hyperparameter("pi_1", low=1e-3, high=1 - 1e-3, default=0.5, clean=1e-3, noisy=1 - 1e-3),
    )

    def per_sample(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        hparams: Float[Tensor, "batch 1"],
    ) -> Float[Tensor, " batch"]:
        """The loss of each sample."""
        (pi,) = hparams.unbind(dim=1)
        log_p = true_class_log_prob(outputs, targets)
        if only_slopes_count(pi):
            return sloped(_curve, log_p, pi)
        p, s = log_p.exp(), -torch.expm1(log_p)
        near = (pi < 0.5) & (pi * s <= p)
        return torch.where(
            near,
            _near_cross_entropy(torch.where(near, pi, 0.0), log_p, torch.where(near, p, 1.0), s),
            _near_mae(torch.where(near, 0.5, pi), log_p, p, s),
        )


def _near_cross_entropy(pi: Tensor, log_p: Tensor, p: Tensor, s: Tensor) -> Tensor:
    """``s - (log p + s (1 + t) log(1 + t) / t) / (pi_2 r)``, ``t = pi_1 s / p`` at most 1."""
    t = pi * s / p.clamp_min(torch.finfo(p.dtype).tiny)
    return s - (log_p + s * (1 + t) * log1p_ratio(t)) / ((1 - pi) * log1p_ratio(-pi))


def _near_mae(pi: Tensor, log_p: Tensor, p: Tensor, s: Tensor) -> Tensor:
    """``s + (p log p - m log(m) / pi_2) / -log(pi_2)``: no ``log p`` without a ``p`` beside it."""
    m = p + pi * s
    small = m < 0.5
    # log m from m itself where m is small, from 1 - m = pi_2 s where that is, as near pi_1 = 1.
    log_m = torch.where(small, m, 1.0).log() / torch.where(small, 1 - pi, 1.0)
    log_m = torch.where(small, log_m, -s * log1p_ratio(torch.where(small, 0.0, (pi - 1) * s)))
    return s + (p * log_p - m * log_m) / -torch.log1p(-pi)


def _curve(log_p: Tensor, pi: Tensor) -> tuple[Tensor, Tensor]:
    """The loss and its slope, ``-p (1 + log(m / p) / -log(pi_2))``."""
    cross_entropy = pi == 0
    pi = torch.where(cross_entropy, 1e-30, pi)  # at 0 both are 0 / 0
    p, s = log_p.exp(), -torch.expm1(log_p)
    pi_2, log_pi_2 = 1 - pi, torch.log1p(-pi)
    # pi_1 s / p, no further than e^69: beyond, its derivatives are no numbers in float32.
    m, t = p + pi * s, pi * torch.expm1(-log_p.clamp_min(-69.0))
    log_ratio = torch.log1p(t)
    near = s + (pi * log_p + m * log_ratio) / (pi_2 * log_pi_2)
    log_m = torch.where(m < 0.5, m.log(), torch.log1p(-pi_2 * s))
    far = s + (m * log_m / pi_2 - p * log_p) / log_pi_2
    loss = torch.where((pi < 0.5) & (t <= 1), near, far)
    slope = p * (log_ratio / log_pi_2 - 1)
    return torch.where(cross_entropy, -log_p, loss), torch.where(cross_entropy, -1.0, slope)
