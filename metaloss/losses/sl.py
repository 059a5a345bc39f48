"""Symmetric cross entropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from metaloss.checks import check_in_range, require
from metaloss.losses.hyperparameter import Hyperparameter
from metaloss.losses.of_label import OfLabel


@dataclass(frozen=True)
class SL(OfLabel):
    r"""Symmetric cross entropy, a weighted sum of cross entropy and reverse cross entropy.

    .. math:: \mathcal{L}_{SL} = \gamma_1 \mathcal{L}_{CE} + \gamma_2 \mathcal{L}_{RCE},
              \qquad \mathcal{L}_{RCE} = -A \sum_{j \ne y} f_j = -A (1 - f_y)
              \qquad\text{(Eq. 3)}

    The paper gives no range for the coefficients. Here both are in :math:`[0, 1]`, which includes
    the values of the loss's authors for CIFAR-10, :math:`(0.1, 1)`.

    Args:
        A: the value that replaces :math:`\log 0`; negative. -4 is the authors' value.

    Raises:
        InputError: ``A`` is not negative.

    Example:
        >>> from metaloss.losses import SL
        >>> import torch
        >>> SL()(torch.zeros(1, 2), torch.tensor([0]), torch.tensor([[0.0, 1.0]]))
        tensor([2.])

    References:
        Wang et al., Symmetric cross entropy for robust learning with noisy labels, 2019.
    """

    hyperparameters: ClassVar[tuple[Hyperparameter, ...]] = (
        Hyperparameter("gamma_1", low=0.0, high=1.0, default=0.1, clean=1.0, noisy=0.0),
        Hyperparameter("gamma_2", low=0.0, high=1.0, default=1.0),
    )
    A: float = -4.0

    def __post_init__(self) -> None:
        """Check ``A``."""
        check_in_range("A", self.A, high=0.0)
        require(self.A < 0, f"A: expected a negative number, got {self.A}")

    def of_log_prob(
        self, log_p: Float[Tensor, " batch"], hparams: Float[Tensor, "batch 2"]
    ) -> Float[Tensor, " batch"]:
        """Return the loss of each sample."""
        gamma_1, gamma_2 = hparams.unbind(dim=1)
        return -gamma_1 * log_p + gamma_2 * self.A * torch.expm1(log_p)

    def weight(
        self, log_p: Float[Tensor, " batch"], hparams: Float[Tensor, "batch 2"]
    ) -> Float[Tensor, " batch"]:
        r"""Return :math:`\gamma_1 - \gamma_2 A f_y`."""
        gamma_1, gamma_2 = hparams.unbind(dim=1)
        return gamma_1 - gamma_2 * self.A * log_p.exp()
