"""Jensen-Shannon divergence as a loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from metaloss.losses.hyperparameter import Hyperparameter
from metaloss.losses.of_label import OfLabel


@dataclass(frozen=True)
class JS(OfLabel):
    r"""Jensen-Shannon divergence, from cross entropy (:math:`\pi_1 \to 0`) to half MAE (1).

    .. math:: \mathcal{L}_{JS} = \frac{\pi_1 D_{KL}(y \| m) + \pi_2 D_{KL}(f \| m)}{Z},
              \quad m = \pi_1 y + \pi_2 f,\ \pi_2 = 1 - \pi_1,\ Z = -\pi_2 \log \pi_2
              \qquad\text{(Eq. 5)}

    With a one-hot label the other classes contribute a single term. For :math:`p = f_y`,
    :math:`s = 1 - p` and :math:`m_y = p + \pi_1 s`,

    .. math:: \mathcal{L}_{JS} = s + \frac{-\pi_1 \log p - m_y \log(1 + \pi_1 s / p)}
              {-\pi_2 \log(1 - \pi_1)}

    The range excludes both ends, where the derivative by :math:`\pi_1` is unbounded (at 0 like
    :math:`1/p`, at 1 like :math:`1 / (\pi_2 \log^2 \pi_2)`). The loss itself is defined on
    :math:`[0, 1)`. In float32, derivatives by :math:`\pi_1` alone lose digits near the range's low
    end: the first one has about three there, the second one none. The mixed derivatives, which the
    hypergradient is made of, do not.

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

    def of_log_prob(
        self, log_p: Float[Tensor, " batch"], hparams: Float[Tensor, "batch 1"]
    ) -> Float[Tensor, " batch"]:
        """Return the loss of each sample."""
        (pi,) = hparams.unbind(dim=1)
        # At pi_1 = 0 the formula is 0 / 0 and its limit is cross entropy.
        is_cross_entropy = pi == 0
        js = _js(log_p, torch.where(is_cross_entropy, 0.5, pi))
        return torch.where(is_cross_entropy, -log_p, js)

    def weight(
        self, log_p: Float[Tensor, " batch"], hparams: Float[Tensor, "batch 1"]
    ) -> Float[Tensor, " batch"]:
        r"""Return :math:`f_y \bigl(1 - \log(m_y / f_y) / \log \pi_2\bigr)`."""
        (pi,) = hparams.unbind(dim=1)
        is_cross_entropy = pi == 0
        log_pi_2 = torch.log1p(-torch.where(is_cross_entropy, 0.5, pi))
        weight = log_p.exp() * (1 - torch.log1p(_excess(log_p, pi)) / log_pi_2)
        return torch.where(is_cross_entropy, 1.0, weight)


def _js(log_p: Tensor, pi: Tensor) -> Tensor:
    """Compute the second formula of :class:`JS`, logarithms in the form that keeps digits."""
    p, s = log_p.exp(), -torch.expm1(log_p)
    m = p + pi * s
    pi_2, log_pi_2 = 1 - pi, torch.log1p(-pi)
    t = _excess(log_p, pi)
    near_cross_entropy = (pi * log_p + m * torch.log1p(t)) / (pi_2 * log_pi_2)
    # 1 - m = pi_2 s, which is exact where m rounds to 1.
    small = m < 0.5
    log_m = torch.where(small, torch.where(small, m, 1.0).log(), torch.log1p(-pi_2 * s))
    near_mae = (m * log_m / pi_2 - p * log_p) / log_pi_2
    return s + torch.where((pi < 0.5) & (t <= 1), near_cross_entropy, near_mae)


def _excess(log_p: Tensor, pi: Tensor) -> Tensor:
    """Return m / p - 1 = pi_1 s / p."""
    # The clamp keeps its derivatives finite in float32 where p is 0.
    return pi * torch.expm1(-log_p.clamp_min(-40.0))
