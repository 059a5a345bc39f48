"""The margin with statistics of recent batches, against its parts and a loop over samples."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from metaloss.checks import InputError
from metaloss.conditioners import ClassMargins, Margin, MarginStatistics
from tests.conditioners.cases import drawn

CLASSES = 5


def mean_size(past: list, decay: float) -> float:
    """The decayed mean of the margins' absolute values, sample by sample."""
    total = weight = 0.0
    for age, batch in enumerate(reversed(past)):
        for z, y in zip(batch.outputs, batch.targets.tolist(), strict=True):
            margin = float(z[y] - max(z[j] for j in range(len(z)) if j != y))
            total += decay**age * abs(margin)
            weight += decay**age
    return total / weight if weight else 0.0


def expected(of_classes: ClassMargins, past: list, batch, decay: float) -> Tensor:
    size = torch.full((len(batch.targets), 1), mean_size(past, decay), dtype=torch.float64)
    return torch.cat([Margin()(*batch), of_classes(*batch), size], dim=1)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.98])
@pytest.mark.parametrize("tracked", [False, True])
def test_it_is_the_margin_the_class_margins_and_the_mean_size(decay: float, tracked: bool) -> None:
    conditioner, of_classes = MarginStatistics(decay).double(), ClassMargins(decay).double()
    past: list = []
    for seed in range(5):
        batch = drawn(CLASSES, seed=seed)
        wanted = expected(of_classes, past, batch, decay)
        torch.testing.assert_close(conditioner(*batch), wanted)
        if tracked:
            torch.testing.assert_close(conditioner.track(*batch), wanted)
        else:
            conditioner.observe(*batch)
        of_classes.observe(*batch)
        past.append(batch)


def test_classes_that_never_came_deviate_by_nothing() -> None:
    conditioner = MarginStatistics().double()
    outputs = torch.tensor([[1.0, 0.0, 3.0], [0.0, 2.0, 0.5]], dtype=torch.float64)
    conditioner.observe(outputs, torch.tensor([0, 0]))
    features = conditioner(outputs, torch.tensor([1, 2]))
    assert (features[:, 2] == 0).all()
    assert features.isfinite().all()


def test_ignored_samples_are_not_remembered() -> None:
    some, all_of_them = MarginStatistics().double(), MarginStatistics().double()
    batch = drawn(CLASSES)
    kept = torch.arange(len(batch.targets)) % 2 == 0
    some.observe(*batch, kept=kept)
    all_of_them.observe(batch.outputs[kept], batch.targets[kept])
    torch.testing.assert_close(some(*batch), all_of_them(*batch))


@pytest.mark.bad_input
def test_other_classes_than_before_and_values_are_refused() -> None:
    conditioner = MarginStatistics()
    conditioner.observe(*drawn(num_classes=4))
    with pytest.raises(InputError, match=r"outputs of 4 classes, .* got 5"):
        conditioner(*drawn())
    with pytest.raises(InputError, match="expected a task with classes, got a regression"):
        conditioner.prepare(torch.zeros(3, 1), None)
    with pytest.raises(InputError, match="decay: expected"):
        MarginStatistics(1.0)
