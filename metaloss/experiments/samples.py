"""Losses, hyperparameters and weights of every training sample (Figures 7, 8 and 9)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from metaloss.conditioners import plain_conditioner
from metaloss.losses import gradient_weight
from metaloss.losses.numerics import full_precision
from metaloss.objective import AdjustedLoss
from metaloss.training.evaluate import evaluating
from metaloss.training.streams import check_loader, in_order
from metaloss.training.task_training import TaskTraining
from metaloss.types import Loader


@torch.no_grad()
def collect(model: nn.Module, criterion: AdjustedLoss, loader: Loader) -> dict[str, Tensor]:
    """Compute the loss, hyperparameters and weight of every training sample in evaluation mode.

    Args:
        model: the network; its mode is restored.
        criterion: the adjusted loss.
        loader: the training set: its ``in_order()`` if it is
            :class:`~metaloss.types.Reviewable`, else its epoch 0.

    Returns:
        Tensors on the CPU with one row per training sample, in the order of ``index``: ``index``;
        ``targets``; the ``margin`` in logits, ``[samples]``, or for regression the absolute
        ``residual``; ``losses``, ``[samples]``; ``hparams``, ``[samples, d']``; the ``plain``
        loss, cross entropy for classes, ``[samples]``; and ``weights``, ``[samples]``, the factors
        of :func:`~metaloss.losses.gradient_weight`.

    Raises:
        InputError: ``loader`` is not a :class:`~metaloss.types.Loader`.
    """
    check_loader("loader", loader)
    loader = in_order(loader)
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
            plain = criterion.loss.kind.losses(full_precision(outputs), batch.targets)
            weights = _weights(criterion, outputs, batch.targets, hparams).to(losses)
            parts.append((index, batch.targets, told, losses, hparams, plain, weights))
    columns = [torch.cat(column).cpu() for column in zip(*parts, strict=True)]
    order = columns[0].argsort()
    names = ("index", "targets", name, "losses", "hparams", "plain", "weights")
    return {name: column[order] for name, column in zip(names, columns, strict=True)}


def _weights(criterion: AdjustedLoss, outputs: Tensor, targets: Tensor, hparams: Tensor) -> Tensor:
    """Return the weights in float64, which not every accelerator has."""
    found = (each.detach().cpu() for each in (outputs, targets, hparams))
    double = (each.double() if each.is_floating_point() else each for each in found)
    return gradient_weight(criterion.loss, *double)


def pooled(trainings: Iterable[TaskTraining]) -> dict[str, Tensor]:
    """Return the margins or residuals and the hyperparameters of all tasks' training samples.

    Args:
        trainings: of tasks of one kind, whose adjuster is the same.
    """
    parts = [collect(t.state.model, t.state.criterion, t.task.train) for t in trainings]
    names = [name for name in parts[0] if name in {"margin", "residual", "hparams"}]
    return {name: torch.cat([part[name] for part in parts]) for name in names}
