"""Polynomial soft weighting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from metaloss.losses.hyperparameter import Hyperparameter
from metaloss.losses.of_label import OfLabel


@dataclass(frozen=True)
class PolySoft(OfLabel):
    r"""The latent loss of polynomial soft weighting, constant beyond :math:`\lambda`.

    .. math:: \mathcal{L}_{Poly} = \frac{(d - 1) \lambda}{d}
              \left[1 - \left(1 - \frac{\mathcal{L}_{CE}}{\lambda}\right)_+^{d / (d - 1)}\right]
              \qquad\text{(Eq. 4)}

    A sample's weight, :math:`d\mathcal{L}/d\mathcal{L}_{CE} = (1 - \mathcal{L}_{CE} /
    \lambda)_+^{1 / (d - 1)}`, falls from 1 to 0 and stays 0. The paper gives no ranges. Here
    :math:`\lambda` is at most 10, more than the cross entropy of guessing among 20,000 classes, and
    :math:`d` is between 1.1 (steep: :math:`w = (1 - u)^{10}`) and 5 (nearly a threshold).

    Example:
        >>> from metaloss.losses import PolySoft
        >>> import torch
        >>> PolySoft()(torch.tensor([[0.0, 100.0]]), torch.tensor([0]), torch.tensor([[4.0, 2.0]]))
        tensor([2.])

    References:
        Gong et al., Decomposition-based evolutionary multiobjective optimization to self-paced
        learning, 2018.
    """

    hyperparameters: ClassVar[tuple[Hyperparameter, ...]] = (
        Hyperparameter("lam", low=0.0, high=10.0, default=4.0, clean=10.0, noisy=0.0),
        Hyperparameter("d", low=1.1, high=5.0, default=2.0),
    )

    def of_log_prob(
        self, log_p: Float[Tensor, " batch"], hparams: Float[Tensor, "batch 2"]
    ) -> Float[Tensor, " batch"]:
        """Return the loss of each sample."""
        lam, d = hparams.unbind(dim=1)
        log_rest, inside = _log_rest(-log_p, lam)
        rise = -torch.expm1(d / (d - 1) * log_rest)
        return (d - 1) / d * lam * torch.where(inside, rise, 1.0)

    def weight(
        self, log_p: Float[Tensor, " batch"], hparams: Float[Tensor, "batch 2"]
    ) -> Float[Tensor, " batch"]:
        r"""Return :math:`(1 - \mathcal{L}_{CE} / \lambda)_+^{1 / (d - 1)}`."""
        lam, d = hparams.unbind(dim=1)
        log_rest, inside = _log_rest(-log_p, lam)
        return torch.where(inside, torch.exp(log_rest / (d - 1)), 0.0)


def _log_rest(ce: Tensor, lam: Tensor) -> tuple[Tensor, Tensor]:
    """Return log(1 - CE / lambda) and where it is defined; it is 0 where the loss is constant."""
    inside = ce < lam
    rest = torch.log1p(-torch.where(inside, ce, 0.0) / torch.where(inside, lam, 1.0))
    return rest, inside
