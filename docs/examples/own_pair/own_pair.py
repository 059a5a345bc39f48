"""A conditioner and a loss of one's own, in a file beside the gin file that names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
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
class Tempered(LossFamily):
    r"""Cross entropy at a temperature: a high one pulls less, and evenly.

    .. math:: \mathcal{L} = -\log \mathrm{softmax}(z / T)_y
    """

    hyperparameters: ClassVar[tuple[Hyperparameter, ...]] = (
        Hyperparameter("temperature", low=0.5, high=20.0, default=1.0, clean=1.0, noisy=20.0),
    )

    def per_sample(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        hparams: Float[Tensor, "batch 1"],
    ) -> Float[Tensor, " batch"]:
        """The loss of each sample."""
        return F.cross_entropy(outputs / hparams, targets, reduction="none")
