"""Learned adjusters, and how to compare two of them."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import Tensor

from metaloss import AdjustedLoss, Adjuster
from metaloss.conditioners import Conditioner, Margin
from metaloss.losses import GCE, LossFamily
from tests.conditioners.cases import drawn, training_labels

CLASSES = 5


def learned(
    loss: LossFamily | None = None,
    conditioner: Conditioner | None = None,
    detach: bool = True,
) -> AdjustedLoss:
    """Return a criterion whose adjuster differs from a new one."""
    loss = GCE() if loss is None else loss
    conditioner = Margin() if conditioner is None else conditioner
    adjuster = Adjuster.for_loss(loss, conditioner, hidden=7)
    with torch.no_grad():
        for parameter in adjuster.parameters():
            parameter.mul_(2.0)
    return AdjustedLoss(loss, conditioner, adjuster, detach)


def answers(criterion: AdjustedLoss) -> list[Tensor]:
    """Return the losses, hyperparameters and gradients of a criterion in training."""
    criterion = copy.deepcopy(criterion)
    criterion.prepare(training_labels(CLASSES), CLASSES)
    criterion.progress(0.4)
    found = []
    for seed in range(3):
        outputs, targets, index = drawn(CLASSES, batch=20, seed=seed, dtype=torch.float32)
        outputs.requires_grad_()
        found += criterion.per_sample(outputs, targets, index)
        # A call computes the gradients of a frozen adjuster in another order, to other last bits.
        loss = criterion.training_loss(outputs, targets, index)
        found += torch.autograd.grad(loss, outputs)
        criterion.observe(outputs, targets, index)
    return [tensor.detach() for tensor in found]


def same(one: AdjustedLoss, other: AdjustedLoss) -> bool:
    """Whether two criteria return the same, bit for bit."""
    return all(map(torch.equal, answers(one), answers(other)))


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder and their contents."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}
