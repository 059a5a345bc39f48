"""Bootstrapping, which mixes the label with the network's prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from metaloss.losses.base import LossFamily
from metaloss.losses.hyperparameter import Hyperparameter
from metaloss.losses.numerics import at_label


@dataclass(frozen=True)
class SoftBootstrapping(LossFamily):
    r"""Cross entropy against the label mixed with the network's own probabilities.

    .. math:: \mathcal{L} = -\sum_j (\beta y_j + (1 - \beta) f_j) \log f_j

    The gradient also flows through :math:`f_j` as a target. At :math:`\beta = 0` the loss is the
    entropy.

    Example:
        >>> from metaloss.losses import SoftBootstrapping
        >>> import torch
        >>> SoftBootstrapping()(torch.zeros(1, 2), torch.tensor([0]), torch.tensor([[0.95]]))
        tensor([0.6931])

    References:
        Reed et al., Training deep neural networks on noisy labels with bootstrapping, 2015; its
        default is theirs.
    """

    hyperparameters: ClassVar[tuple[Hyperparameter, ...]] = (
        Hyperparameter("beta", low=0.0, high=1.0, default=0.95, clean=1.0, noisy=0.0),
    )

    def per_sample(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        hparams: Float[Tensor, "batch 1"],
    ) -> Float[Tensor, " batch"]:
        """Return the loss of each sample."""
        (beta,) = hparams.unbind(dim=1)
        log_p = outputs.log_softmax(dim=1)
        own = at_label(log_p, targets)
        return -(beta * own + (1 - beta) * (log_p.exp() * log_p).sum(dim=1))


@dataclass(frozen=True)
class HardBootstrapping(LossFamily):
    r"""Cross entropy against the label mixed with the predicted class.

    .. math:: \mathcal{L} = -\beta \log f_y - (1 - \beta) \max_j \log f_j

    Example:
        >>> from metaloss.losses import HardBootstrapping
        >>> import torch
        >>> HardBootstrapping()(torch.zeros(1, 2), torch.tensor([0]), torch.tensor([[0.8]]))
        tensor([0.6931])

    References:
        Reed et al., Training deep neural networks on noisy labels with bootstrapping, 2015; its
        default is theirs.
    """

    hyperparameters: ClassVar[tuple[Hyperparameter, ...]] = (
        Hyperparameter("beta", low=0.0, high=1.0, default=0.8, clean=1.0, noisy=0.0),
    )

    def per_sample(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        hparams: Float[Tensor, "batch 1"],
    ) -> Float[Tensor, " batch"]:
        """Return the loss of each sample."""
        (beta,) = hparams.unbind(dim=1)
        log_p = outputs.log_softmax(dim=1)
        own = at_label(log_p, targets)
        return -(beta * own + (1 - beta) * log_p.amax(dim=1))
