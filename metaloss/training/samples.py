"""What a trained criterion makes of each training sample: what Figures 7 and 8 are drawn from."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from metaloss.conditioners import Margin
from metaloss.objective import AdjustedLoss
from metaloss.types import Loader


class Samples(NamedTuple):
    """One row a training sample, in the order of ``index``.

    Attributes:
        index: ids, ``[samples]``.
        targets: the labels trained on, ``[samples]``.
        margin: margins in logits, ``[samples]``.
        losses: losses, ``[samples]``.
        hparams: hyperparameters, ``[samples, d']``.
    """

    index: Tensor  # type: ignore[assignment]  # the tuple's method is not missed
    targets: Tensor
    margin: Tensor
    losses: Tensor
    hparams: Tensor


@torch.no_grad()
def collect(model: nn.Module, criterion: AdjustedLoss, loader: Loader) -> Samples:
    """Pass over the training set in evaluation mode; nothing is changed.

    Args:
        model: the classifier; its mode is put back.
        criterion: the adjusted loss.
        loader: the training set; its epoch 0 is read.
    """
    training = model.training
    model.eval()
    margin = Margin()
    parts = []
    for batch in loader.epoch(0):
        outputs = model(batch.inputs)
        losses, hparams = criterion.per_sample(outputs, batch.targets, batch.index)
        index = batch.index if batch.index is not None else torch.arange(len(batch.targets))
        parts.append(
            (index, batch.targets, margin(outputs, batch.targets).squeeze(1), losses, hparams)
        )
    model.train(training)
    columns = [torch.cat(column).cpu() for column in zip(*parts, strict=True)]
    order = columns[0].argsort()
    return Samples(*(column[order] for column in columns))
