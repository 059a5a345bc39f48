"""What a trained criterion makes of each training sample: what Figures 7 and 8 are drawn from."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metaloss.conditioners import plain_conditioner
from metaloss.objective import AdjustedLoss
from metaloss.training.evaluate import evaluating
from metaloss.training.streams import check_loader
from metaloss.types import Loader, Reviewable


@torch.no_grad()
def collect(model: nn.Module, criterion: AdjustedLoss, loader: Loader) -> dict[str, Tensor]:
    """Pass over the training set in evaluation mode; nothing is changed.

    Args:
        model: the network; its mode is put back.
        criterion: the adjusted loss.
        loader: the training set: read ``in_order()`` where it can be
            (:class:`~metaloss.types.Reviewable`), or else its epoch 0.

    Returns:
        On the CPU, one row a training sample, in the order of ``index``: ``index`` and ``targets``;
        ``margin`` in logits, ``[samples]``, or for regression ``residual``, its size; ``losses``;
        and ``hparams``, ``[samples, d']``.

    Raises:
        InputError: it is no such loader.
    """
    check_loader("loader", loader)
    loader = loader.in_order() if isinstance(loader, Reviewable) else loader
    name, conditioner = plain_conditioner(criterion.loss.kind)
    parts = []
    count = 0
    with evaluating(model):
        for batch in loader.epoch(0):
            outputs = model(batch.inputs)
            losses, hparams = criterion.per_sample(outputs, batch.targets, batch.index)
            index = batch.index
            if index is None:
                index = torch.arange(count, count + len(losses), device=losses.device)
            count += len(losses)
            told = conditioner(outputs, batch.targets).squeeze(1)
            parts.append((index, batch.targets, told, losses, hparams))
    columns = [torch.cat(column).cpu() for column in zip(*parts, strict=True)]
    order = columns[0].argsort()
    names = ("index", "targets", name, "losses", "hparams")
    return {name: column[order] for name, column in zip(names, columns, strict=True)}
