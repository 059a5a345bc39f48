"""A loaded criterion on one made-up batch, before anybody trains with it."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from metaloss.adjusters import BaseAdjuster
from metaloss.checks import InputError, require
from metaloss.kinds import CLASSIFICATION
from metaloss.objective import AdjustedLoss

CLASSES = 10
SAMPLES = 30
# Logits that a trained network gives: a size at which a sane loss is finite.
LARGEST = 20.0
# What a part that is for other batches ends in.
_ANOTHER = (InputError, RuntimeError, IndexError, TypeError)


@torch.no_grad()
def check_finite_loss(criterion: AdjustedLoss, snapshots: list[BaseAdjuster]) -> None:
    """Raise :class:`~metaloss.checks.InputError` if a snapshot's loss is no number on the batch.

    Weights and arguments can be finite each, and so large that what they give is not. A criterion
    that cannot take this batch, as one for another number of classes, is not judged.

    Args:
        criterion: is left as it is.
        snapshots: its adjuster's.
    """
    classifies = criterion.loss.kind == CLASSIFICATION
    size = torch.linspace(-LARGEST, LARGEST, SAMPLES * CLASSES)
    outputs = size.view(CLASSES, SAMPLES).T.contiguous()  # labels high, low and between
    targets = torch.arange(SAMPLES) % CLASSES if classifies else torch.zeros_like(outputs)
    try:
        features = _features(criterion, outputs, targets, CLASSES if classifies else None)
        losses = [criterion.loss(outputs, targets, adjuster(features)) for adjuster in snapshots]
        bad = sum(int((~each.isfinite()).sum()) for each in losses)
    except _ANOTHER:
        return
    require(
        bad == 0,
        f"expected an adjuster whose losses are finite, got {bad} of {SAMPLES * len(losses)} that "
        "are NaN or infinite on a batch of ordinary outputs",
    )


def _features(
    criterion: AdjustedLoss, outputs: Tensor, targets: Tensor, num_classes: int | None
) -> Tensor:
    """Its conditioner's for a first batch; zeros where it is for another number of classes."""
    criterion = copy.deepcopy(criterion)
    try:
        criterion.prepare(targets, num_classes)
        features = criterion.features(outputs, targets, torch.arange(SAMPLES))
    except _ANOTHER:
        features = outputs.new_zeros(SAMPLES, criterion.adjuster.num_features or 0)
    return features.to(criterion.adjuster.low.dtype)
