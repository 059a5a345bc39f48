"""The Brier score times a trust in the label, and what to tell of a sample."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from metaloss.conditioners import Conditioner, Margin
from metaloss.losses import Hyperparameter, LossFamily


class MarginAndEntropy(Conditioner):
    num_features = 2

    def forward(self, outputs, targets, index=None):
        log_p = outputs.log_softmax(dim=1)
        entropy = -(log_p.exp() * log_p).sum(dim=1, keepdim=True)
        return torch.cat([Margin()(outputs, targets), entropy], dim=1)


@dataclass(frozen=True)
class TrustedBrier(LossFamily):
    hyperparameters: ClassVar = (Hyperparameter("trust", low=0.0, high=1.0, default=1.0),)

    def per_sample(self, outputs, targets, hparams):
        p = outputs.softmax(dim=1)
        own = p.gather(1, targets.unsqueeze(1)).squeeze(1)
        return hparams[:, 0] * (p.square().sum(dim=1) - 2 * own + 1)
