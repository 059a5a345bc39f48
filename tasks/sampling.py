"""Labels drawn by inverting a cumulative distribution at one uniform number per sample."""

from __future__ import annotations

import torch
from torch import Tensor

from metaloss.checks import check_at_least, check_labels, require


def check_labels_and_generator(
    targets: Tensor, num_classes: int, generator: torch.Generator
) -> None:
    """Raise InputError unless the labels are in range and the generator is on the CPU."""
    check_at_least("num_classes", num_classes, 2)
    check_labels("targets", targets, num_classes)
    require(
        generator.device.type == "cpu",
        f"generator: expected one on the CPU, got one on {generator.device}",
    )


def cumulate(probabilities: Tensor) -> Tensor:
    """Return cumulative sums along the rows; the last is exactly 1, above any draw."""
    sums = probabilities.cumsum(1)
    return sums / sums[:, -1:]


def draw_labels(cumulative: Tensor, draws: Tensor) -> Tensor:
    """Return a label for each sample.

    A class of probability 0 is never drawn, since its interval is empty.

    Args:
        cumulative: each sample's cumulative distribution, ``[samples, classes]``.
        draws: a uniform number in [0, 1) for each sample, ``[samples]``.
    """
    return torch.searchsorted(cumulative, draws[:, None], right=True).squeeze(1)
