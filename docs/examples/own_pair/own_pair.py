"""A conditioner and a loss of one's own, in a file beside the gin file that names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.conditioners import Conditioner
from metaloss.losses import Hyperparameter, LossFamily


class Doubt(Conditioner):
    """The log-probabilities of the label and of the class that the network prefers."""

    num_features = 2

    def forward(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        index: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch 2"]:
        """The features of each sample."""
        log_p = outputs.log_softmax(dim=1)
        label = log_p.gather(1, targets.unsqueeze(1))
        return torch.cat([label, log_p.amax(dim=1, keepdim=True)], dim=1)


@dataclass(frozen=True)
class SoftBootstrap(LossFamily):
    r"""Cross entropy to a mix of the label and the network's own prediction.

    .. math:: \mathcal{L} = -\sum_j \bigl(\beta y_j + (1 - \beta) f_j\bigr) \log f_j

    References:
        Reed et al., Training deep neural networks on noisy labels with bootstrapping, 2014.
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
        """The loss of each sample."""
        (beta,) = hparams.unbind(dim=1)
        log_p = outputs.log_softmax(dim=1)
        to_label = -log_p.gather(1, targets.unsqueeze(1)).squeeze(1)
        to_itself = -(log_p.exp() * log_p).sum(dim=1)
        return beta * to_label + (1 - beta) * to_itself
