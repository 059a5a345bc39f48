"""How well a classifier does on held-out samples."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from metaloss.types import Loader


class Evaluation(NamedTuple):
    """What a classifier does on a set.

    Attributes:
        accuracy: percent of the labels it gives.
        loss: mean cross entropy.
    """

    accuracy: float
    loss: float


@torch.no_grad()
def evaluate(model: nn.Module, loader: Loader) -> Evaluation:
    """Accuracy and cross entropy in evaluation mode; the model's mode is put back.

    Args:
        model: a classifier.
        loader: its epoch 0 is what is evaluated on.
    """
    training = model.training
    model.eval()
    totals = []
    count = 0
    for batch in loader.epoch(0):
        outputs = model(batch.inputs)
        right = (outputs.argmax(dim=1) == batch.targets).sum()
        loss = F.cross_entropy(outputs.float(), batch.targets, reduction="sum")
        totals.append(torch.stack([right.double(), loss.double()]))
        count += len(batch.targets)
    model.train(training)
    right_count, loss_sum = torch.stack(totals).sum(dim=0).tolist()
    return Evaluation(100 * right_count / count, loss_sum / count)
