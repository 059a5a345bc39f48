"""Try a loaded criterion on one made-up batch."""

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
# The largest logit, about that of a trained network; losses must be finite for it.
LARGEST = 20.0
# Errors of a component that does not support this batch.
_UNSUPPORTED = (InputError, RuntimeError, IndexError, TypeError)


@torch.no_grad()
def check_finite_loss(criterion: AdjustedLoss, snapshots: list[BaseAdjuster]) -> None:
    """Raises :class:`~metaloss.checks.InputError` if a snapshot gives losses that are not finite.

    Finite weights and arguments can be so large that losses overflow. A criterion that does not
    support the batch, because of another number of classes for instance, is not checked.

    Args:
        criterion: the criterion; it is not changed.
        snapshots: the snapshots of its adjuster.
    """
    classifies = criterion.loss.kind == CLASSIFICATION
    size = torch.linspace(-LARGEST, LARGEST, SAMPLES * CLASSES)
    outputs = size.view(
        CLASSES, SAMPLES
    ).T.contiguous()  # labels with large, small and medium logits
    targets = torch.arange(SAMPLES) % CLASSES if classifies else torch.zeros_like(outputs)
    try:
        features = _features(criterion, outputs, targets, CLASSES if classifies else None)
        losses = [criterion.loss(outputs, targets, adjuster(features)) for adjuster in snapshots]
        bad = sum(int((~each.isfinite()).sum()) for each in losses)
    except _UNSUPPORTED:
        return
    require(
        bad == 0,
        f"expected an adjuster whose losses are finite, got {bad} of {SAMPLES * len(losses)} that "
        "are NaN or infinite on a batch of ordinary outputs",
    )


def _features(
    criterion: AdjustedLoss, outputs: Tensor, targets: Tensor, num_classes: int | None
) -> Tensor:
    """Returns the features of a first batch, or zeros if the conditioner does not support it."""
    criterion = copy.deepcopy(criterion)
    try:
        criterion.prepare(targets, num_classes)
        features = criterion.features(outputs, targets, torch.arange(SAMPLES))
    except _UNSUPPORTED:
        features = outputs.new_zeros(SAMPLES, criterion.adjuster.num_features or 0)
    return features.to(criterion.adjuster.low.dtype)
