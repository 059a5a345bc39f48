"""Labels drawn from each sample's distribution: one uniform number a sample, inverted."""

from __future__ import annotations

import torch
from torch import Tensor

from metaloss.checks import check_at_least, check_labels, require


def check_arguments(targets: Tensor, num_classes: int, generator: torch.Generator) -> None:
    """Raise InputError unless these are labels of so many classes and a generator on the CPU."""
    check_at_least("num_classes", num_classes, 2)
    check_labels("targets", targets, num_classes)
    require(
        generator.device.type == "cpu",
        f"generator: expected one on the CPU, got one on {generator.device}",
    )


def cumulate(probabilities: Tensor) -> Tensor:
    """Cumulative sums along the rows, the last of them exactly 1 and so above any draw."""
    sums = probabilities.cumsum(1)
    return sums / sums[:, -1:]


def draw_labels(cumulative: Tensor, draws: Tensor) -> Tensor:
    """The label of each sample, from its cumulative distribution ``[samples, classes]`` and a draw.

    A class of probability 0 is never taken: its step is empty.
    """
    return torch.searchsorted(cumulative, draws[:, None], right=True).squeeze(1)
