"""Evaluation on held-out samples."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from metaloss.checks import require
from metaloss.kinds import CLASSIFICATION, Kind
from metaloss.processes import rank, sum_over, world_size
from metaloss.training.streams import check_loader
from metaloss.types import Loader, Selectable


class Evaluation(NamedTuple):
    """The result of an evaluation.

    Attributes:
        score: the metric of the kind: accuracy in percent, or the mean absolute error.
        loss: the mean plain loss: cross entropy, or half the squared error.
        confusion: the number of samples of each true class, a row each, that were predicted as each
            class, ``[classes, classes]``, int64, on the CPU; ``None`` unless it was asked for.
    """

    score: float
    loss: float
    confusion: Tensor | None = None


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a network in evaluation mode inside the block, and restore each module's mode after it.

    Example:
        >>> from torch import nn
        >>> from metaloss.training.evaluate import evaluating
        >>> network = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2).eval())
        >>> with evaluating(network):
        ...     network.training
        False
        >>> [part.training for part in network]
        [True, False]
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


@torch.no_grad()
def evaluate(
    model: nn.Module, loader: Loader, kind: Kind = CLASSIFICATION, *, confusion: bool = False
) -> Evaluation:
    """Return the metric and the plain loss of a network in evaluation mode.

    Processes that train together share the samples, and all return the same.

    Args:
        model: the network; its mode is restored.
        loader: the samples, read from its epoch 0. If it is :class:`~metaloss.types.Selectable`, a
            process reads its own share alone; else it reads all batches, and predicts its share.
        kind: the kind of the targets.
        confusion: count the predictions by true class too; for classification alone.

    Raises:
        InputError: ``loader`` is not a :class:`~metaloss.types.Loader`, or has fewer batches than
            its length.

    Example:
        >>> import torch
        >>> from metaloss.tasks import BatchLoader
        >>> from metaloss.training import evaluate
        >>> logits = torch.tensor([[2.0, 1.0], [1.0, 2.0], [2.0, 1.0]])
        >>> samples = BatchLoader(logits, torch.tensor([0, 1, 1]), 3, shuffle=False)
        >>> evaluate(torch.nn.Identity(), samples, confusion=True).confusion
        tensor([[1, 0],
                [1, 1]])
    """
    check_loader("loader", loader)
    share = _own_share(loader)
    totals: list[Tensor] = []
    cells: list[Tensor] = []
    found = classes = 0
    with evaluating(model):
        for i, batch in enumerate(share.epoch(0)):
            found += 1
            mine = share is not loader or i % world_size() == rank()
            without = (
                not mine and i == 0 and rank() >= len(loader)
            )  # it has no batch: it adds zeros
            if not (mine or without):
                continue
            outputs = model(batch.inputs).float()
            scores = kind.score(outputs, batch.targets)
            losses = kind.losses(outputs, batch.targets)
            sums = torch.stack([scores, losses, torch.ones_like(losses)]).double().sum(dim=1)
            totals.append(sums if mine else torch.zeros_like(sums))
            if confusion:
                classes = outputs.shape[1]
                own = batch.targets * classes + outputs.argmax(dim=1)
                cells.append(own if mine else own[:0])
    require(
        found == len(share) > 0,
        f"loader to evaluate on: expected {max(len(share), 1)} batches, got {found}",
    )
    (joint,) = sum_over([torch.stack(totals).sum(dim=0)])
    score, loss, count = joint.tolist()
    if not confusion:
        return Evaluation(score / count, loss / count)
    (counts,) = sum_over([torch.cat(cells).bincount(minlength=classes * classes)])
    return Evaluation(score / count, loss / count, counts.cpu().view(classes, classes))


def _own_share(loader: Loader) -> Loader:
    """Return a loader of this process's share of the samples, or the loader of all of them."""
    if world_size() == 1 or loader.num_samples < world_size() or not isinstance(loader, Selectable):
        return loader
    own: Loader = loader.select(torch.arange(loader.num_samples).tensor_split(world_size())[rank()])
    return own
