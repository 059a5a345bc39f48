"""Normalized cross entropy, and the sum of an active and a passive loss."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from metaloss.checks import require
from metaloss.losses.base import LossFamily
from metaloss.losses.cross_entropy import MAE
from metaloss.losses.hyperparameter import Hyperparameter
from metaloss.losses.numerics import at_label


@dataclass(frozen=True)
class NormalizedCE(LossFamily):
    r"""Cross entropy divided by its sum over all labels, which is robust to symmetric noise.

    .. math:: \mathcal{L} = \frac{\log f_y}{\sum_j \log f_j}

    Example:
        >>> from metaloss.losses import NormalizedCE
        >>> import torch
        >>> NormalizedCE()(torch.zeros(1, 4), torch.tensor([0]), torch.empty(1, 0))
        tensor([0.2500])

    References:
        Ma et al., Normalized loss functions for deep learning with noisy labels, 2020.
    """

    hyperparameters: ClassVar[tuple[Hyperparameter, ...]] = ()

    def per_sample(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        hparams: Float[Tensor, "batch 0"],  # noqa: ARG002 - it has none
    ) -> Float[Tensor, " batch"]:
        """Return the loss of each sample."""
        log_p = outputs.log_softmax(dim=1)
        return at_label(log_p, targets) / log_p.sum(dim=1)


@dataclass(frozen=True)
class ActivePassive(LossFamily):
    r"""The sum of an active loss, which raises the label's probability, and a passive one.

    .. math:: \mathcal{L} = \alpha \mathcal{L}_{active} + \beta \mathcal{L}_{passive}

    A passive loss lowers the probabilities of the other classes.

    Args:
        active: a loss without hyperparameters; normalized cross entropy if not given.
        passive: a loss without hyperparameters; MAE if not given.

    Raises:
        InputError: a loss with hyperparameters; fix them with :class:`Fixed`.

    Example:
        >>> from metaloss.losses import ActivePassive
        >>> import torch
        >>> ActivePassive()(torch.zeros(1, 4), torch.tensor([0]), torch.tensor([[1.0, 1.0]]))
        tensor([1.7500])

    References:
        Ma et al., Normalized loss functions for deep learning with noisy labels, 2020; the defaults
        are theirs for CIFAR-10.
    """

    hyperparameters: ClassVar[tuple[Hyperparameter, ...]] = (
        Hyperparameter("alpha", low=0.0, high=4.0, default=1.0),
        Hyperparameter("beta", low=0.0, high=4.0, default=1.0),
    )
    active: LossFamily = field(default_factory=NormalizedCE)
    passive: LossFamily = field(default_factory=MAE)

    def __post_init__(self) -> None:
        """Check both losses."""
        for name, loss in (("active", self.active), ("passive", self.passive)):
            require(
                not loss.hyperparameters,
                f"{name}: expected a loss without hyperparameters, got {loss}; fix them with Fixed",
            )

    def per_sample(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        hparams: Float[Tensor, "batch 2"],
    ) -> Float[Tensor, " batch"]:
        """Return the loss of each sample."""
        alpha, beta = hparams.unbind(dim=1)
        none = hparams[:, :0]
        active = self.active.per_sample(outputs, targets, none)
        return alpha * active + beta * self.passive.per_sample(outputs, targets, none)
