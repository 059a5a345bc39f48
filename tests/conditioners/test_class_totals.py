"""Sums over batches as large as those of dense labels, against float64."""

from __future__ import annotations

import pytest
import torch

from metaloss.conditioners import ClassMargins, MarginStatistics
from metaloss.conditioners.class_totals import ClassTotals

PIXELS = 1_200_003


def of_pixels(classes: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs and labels of a few dense images, with margins far from 0."""
    made = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (PIXELS,), generator=made)
    outputs = torch.randn(PIXELS, classes, generator=made)
    return outputs.scatter_add_(1, labels.unsqueeze(1), torch.full((PIXELS, 1), 100.3)), labels


@pytest.mark.parametrize("build", [ClassMargins, MarginStatistics])
def test_every_sample_of_a_large_batch_counts(build: type[ClassTotals]) -> None:
    conditioner, exact = build(), build().double()
    outputs, labels = of_pixels(2, seed=0)
    for each in (conditioner, exact):
        each.observe(outputs, labels)
    torch.testing.assert_close(conditioner.totals.double(), exact.totals, rtol=1e-6, atol=0.0)


def test_counts_grow_beyond_the_whole_numbers_of_float32() -> None:
    """From 2^24 on, float32 plus 1 is what it was."""
    conditioner = ClassMargins(decay=0.5)
    conditioner.prepare(torch.tensor([0, 1]), 2)
    conditioner.totals.fill_(2.0**27)
    labels = torch.zeros(3000, dtype=torch.int64)
    conditioner.observe(torch.tensor([[1.0, 0.0]]).expand(3000, 2), labels)
    assert conditioner.totals.tolist() == [[2.0**26 + 3000] * 2, [2.0**26] * 2]


def test_ignored_samples_of_a_large_batch_are_left_out() -> None:
    conditioner, of_kept = ClassMargins(), ClassMargins()
    outputs, labels = of_pixels(3, seed=1)
    kept = torch.arange(PIXELS) % 3 > 0
    conditioner.observe(outputs, labels, kept=kept)
    of_kept.observe(outputs[kept], labels[kept])
    torch.testing.assert_close(conditioner.totals, of_kept.totals, rtol=1e-6, atol=0.0)
