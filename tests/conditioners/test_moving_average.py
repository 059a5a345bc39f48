"""Moving averages of samples against a dictionary and a loop."""

from __future__ import annotations

import math

import pytest
import torch

from metaloss.checks import InputError
from metaloss.conditioners import Concat, LossValue, Margin, MovingAverage, Progress
from tests.conditioners.cases import drawn
from tests.conditioners.test_values import margin_by_hand

SAMPLES, CLASSES, BATCH = 10, 4, 4
LABELS = torch.arange(SAMPLES) % CLASSES


def prepared(decay: float = 0.7) -> MovingAverage:
    conditioner = MovingAverage(Margin(), decay).double()
    conditioner.prepare(LABELS, CLASSES)
    return conditioner


def epochs(count: int):
    """Return the batches of ``count`` shuffled epochs, the last batch of each a short one."""
    generator = torch.Generator().manual_seed(5)
    for _ in range(count):
        for index in torch.randperm(SAMPLES, generator=generator).split(BATCH):
            outputs = torch.randn(len(index), CLASSES, generator=generator).double()
            yield outputs, LABELS[index], index


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.7, 0.99])
def test_follows_every_sample_through_the_epochs(decay: float):
    conditioner = prepared(decay)
    past: dict[int, float] = {}
    for outputs, targets, index in epochs(4):
        expected = []
        for z, y, i in zip(outputs.tolist(), targets.tolist(), index.tolist(), strict=True):
            now = margin_by_hand(z, y)
            past[i] = decay * past[i] + (1 - decay) * now if i in past else now
            expected.append([past[i]])
        features = conditioner(outputs, targets, index)
        torch.testing.assert_close(
            features, torch.tensor(expected, dtype=torch.float64), rtol=1e-13, atol=1e-14
        )
        conditioner.observe(outputs, targets, index)
    assert sorted(past) == list(range(SAMPLES))
    assert conditioner.memory[:, 0].tolist() == pytest.approx(
        [past[i] for i in range(SAMPLES)], rel=1e-13
    )


def test_averages_each_feature_apart():
    both = MovingAverage(Concat([Margin(), LossValue()]), decay=0.5).double()
    alone = [MovingAverage(part, decay=0.5).double() for part in (Margin(), LossValue())]
    for conditioner in (both, *alone):
        conditioner.prepare(LABELS, CLASSES)
    for batch in epochs(3):
        features = torch.cat([conditioner(*batch) for conditioner in alone], dim=1)
        assert torch.equal(both(*batch), features)
        for conditioner in (both, *alone):
            conditioner.observe(*batch)


def test_only_observing_is_remembered():
    conditioner = prepared()
    batches = list(epochs(2))
    for batch in batches:
        conditioner(*batch)
    assert not conditioner.seen.any()
    assert not conditioner.memory.any()
    outputs, targets, index = batches[0]
    conditioner.observe(outputs, targets, index)
    assert conditioner.seen.nonzero().flatten().tolist() == sorted(index.tolist())
    assert conditioner.memory[index].all()


def test_a_past_of_zero_is_a_past():
    conditioner = prepared(decay=0.5)
    index, label = torch.tensor([3]), LABELS[[3]]
    conditioner.observe(torch.zeros(1, CLASSES).double(), label, index)
    outputs = torch.zeros(1, CLASSES).double()
    outputs[0, label] = 4.0
    assert conditioner(outputs, label, index).item() == 2.0


def test_prepare_forgets():
    conditioner = prepared()
    for batch in epochs(1):
        conditioner.observe(*batch)
    conditioner.prepare(LABELS, CLASSES)
    batch = next(epochs(1))
    assert torch.equal(conditioner(*batch), Margin()(*batch))


def test_prepare_makes_room_for_another_set():
    conditioner = prepared()
    conditioner.prepare(LABELS.repeat(3), CLASSES)
    index = torch.tensor([3 * SAMPLES - 1])
    conditioner.observe(torch.zeros(1, CLASSES).double(), LABELS[-1:], index)
    assert conditioner.seen.sum() == 1
    assert conditioner.seen[-1]


def test_nothing_of_the_graph_is_remembered():
    conditioner = prepared()
    outputs, targets, index = next(epochs(1))
    outputs.requires_grad_()
    conditioner.observe(outputs, targets, index)
    assert not conditioner.memory.requires_grad
    outputs = outputs.detach().requires_grad_()
    (slope,) = torch.autograd.grad(conditioner(outputs, targets, index).sum(), outputs)
    (plain,) = torch.autograd.grad(Margin()(outputs, targets).sum(), outputs)
    torch.testing.assert_close(slope, 0.3 * plain)


def test_the_memory_is_part_of_the_state_whatever_its_size():
    trained = prepared()
    for batch in epochs(2):
        trained.observe(*batch)
    state = Concat([Progress(), trained]).state_dict()
    for size in (None, 2, SAMPLES, 5 * SAMPLES):
        fresh = MovingAverage(Margin()).double()
        if size is not None:
            fresh.prepare(LABELS.repeat(5)[:size], CLASSES)
        Concat([Progress(), fresh]).load_state_dict(state)
        assert torch.equal(fresh.memory, trained.memory)
        assert torch.equal(fresh.seen, trained.seen)
        for batch in epochs(1):
            assert torch.equal(fresh(*batch), trained(*batch))
            fresh.observe(*batch)
    assert not torch.equal(fresh.memory, trained.memory)


def test_the_hooks_reach_what_is_averaged():
    progress = Progress()
    conditioner = MovingAverage(MovingAverage(progress, decay=0.0), decay=0.5)
    conditioner.prepare(LABELS, CLASSES)
    outputs, targets, index = drawn(CLASSES, batch=1)
    index = index * 0
    assert conditioner.conditioner.memory.shape == (SAMPLES, 1)
    conditioner.observe(outputs, targets, index)
    assert conditioner.conditioner.seen[0]
    conditioner.set_progress(1.0)
    assert progress.fraction == 1.0
    assert conditioner(outputs, targets, index).item() == 0.5


@pytest.mark.parametrize("decay", [1.0, -0.1, 1.5, math.nan])
def test_a_decay_that_is_no_decay(decay: float):
    with pytest.raises(InputError, match="decay: expected"):
        MovingAverage(Margin(), decay)


def test_without_room():
    outputs, targets, index = next(epochs(1))
    for call in (MovingAverage(Margin()), MovingAverage(Margin()).observe):
        with pytest.raises(InputError, match=r"no memory yet; call prepare\(targets"):
            call(outputs, targets, index)


def test_without_index():
    conditioner = prepared()
    outputs, targets, _ = next(epochs(1))
    for call in (conditioner, conditioner.observe):
        with pytest.raises(
            InputError, match=r"call the criterion as criterion\(outputs, targets, i"
        ):
            call(outputs, targets)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    "index",
    [
        torch.tensor([0]),  # would stand for every sample
        torch.arange(5),
        torch.tensor([[0, 1, 2, 3]]),
        torch.tensor([0.0, 1.0, 2.0, 3.0]),
        torch.tensor([True, False, True, False]),
    ],
)
def test_an_index_of_another_kind(index: torch.Tensor):
    conditioner = prepared()
    outputs, targets, _ = next(epochs(1))
    for call in (conditioner, conditioner.observe):
        with pytest.raises(InputError, match=r"index: expected int64 ids \[4\], got torch"):
            call(outputs, targets, index)
    assert not conditioner.seen.any()


@pytest.mark.bad_input
@pytest.mark.parametrize("index", [[0, 5], [-1, 0]])
def test_ids_of_samples_that_prepare_was_not_shown(index: list[int]):
    conditioner = MovingAverage(Margin())
    conditioner.prepare(torch.tensor([0, 1, 0, 1]), 2)
    with pytest.raises(InputError, match=r"index: expected ids in 0\.\.3.*got "):
        conditioner(torch.zeros(2, 2), torch.tensor([0, 1]), torch.tensor(index))
