"""The mean over recent batches against a loop."""

from __future__ import annotations

import pytest
import torch

from metaloss.checks import InputError
from metaloss.conditioners import Concat, LossValue, Margin, MovingAverage, RunningMean
from tests.conditioners.cases import drawn, training_labels

CLASSES = 5


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.98])
def test_it_follows_the_batches(decay: float) -> None:
    conditioner = RunningMean(Concat([Margin(), LossValue()]), decay).double()
    expected = torch.zeros(2, dtype=torch.float64)
    for seed in range(5):
        batch = drawn(seed=seed)
        now = torch.cat([Margin()(*batch), LossValue()(*batch)], dim=1).mean(dim=0)
        expected = decay * expected + (1 - decay) * now
        conditioner.observe(*batch)
        torch.testing.assert_close(conditioner(*batch), expected.expand(len(batch.index), 2))


def test_a_batch_counts_once_it_is_observed() -> None:
    conditioner, batch = RunningMean(Margin(), 0.5), drawn(dtype=torch.float32)
    assert torch.equal(conditioner(*batch), torch.zeros(len(batch.index), 1))
    conditioner.observe(*batch)
    assert not torch.equal(conditioner(*batch), torch.zeros(len(batch.index), 1))
    conditioner.prepare(training_labels(CLASSES), CLASSES)
    assert torch.equal(conditioner(*batch), torch.zeros(len(batch.index), 1))


def test_what_it_averages_has_a_past_too() -> None:
    conditioner = RunningMean(MovingAverage(Margin(), 0.5), 0.0).double()
    conditioner.prepare(training_labels(CLASSES), CLASSES)
    first, index = drawn(seed=0), drawn(seed=0).index
    other = drawn(seed=1).outputs
    conditioner.observe(*first)
    conditioner.observe(other, first.targets, index)
    both = (Margin()(first.outputs, first.targets) + Margin()(other, first.targets)) / 2
    found = conditioner(*first)  # without decay, the last batch's mean, of averages
    torch.testing.assert_close(found, both.mean(dim=0).expand_as(found))


def test_ids_are_needed_where_they_were() -> None:
    assert not RunningMean(Margin()).needs_index
    assert RunningMean(MovingAverage(Margin())).needs_index


@pytest.mark.bad_input
@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_decays_out_of_range(decay: float) -> None:
    with pytest.raises(InputError, match="decay: expected"):
        RunningMean(Margin(), decay)
