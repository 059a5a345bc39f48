"""Mean margins of the classes against a loop over samples."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from metaloss.checks import InputError
from metaloss.conditioners import ClassMargins
from tests.conditioners.cases import Drawn, drawn, training_labels

CLASSES = 5


def prepared(decay: float = 0.98, num_classes: int = CLASSES) -> ClassMargins:
    conditioner = ClassMargins(decay).double()
    conditioner.prepare(training_labels(num_classes), num_classes)
    return conditioner


def rival(outputs: Tensor, label: int) -> int:
    return max((j for j in range(len(outputs)) if j != label), key=lambda j: float(outputs[j]))


def weighted_mean(margins: list[tuple[float, float]], nothing: float = 0.0) -> float:
    total = sum(weight for weight, _ in margins)
    if total == 0:
        return nothing
    return sum(weight * margin for weight, margin in margins) / total


def expected(past: list[Drawn], now: Drawn, decay: float) -> Tensor:
    """Computes the documented features sample by sample."""
    of_class: dict[int, list[tuple[float, float]]] = {c: [] for c in range(CLASSES)}
    for age, batch in enumerate(reversed(past)):
        for z, y in zip(batch.outputs, batch.targets.tolist(), strict=True):
            of_class[y].append((decay**age, float(z[y] - z[rival(z, y)])))
    of_all = weighted_mean([pair for pairs in of_class.values() for pair in pairs])
    rows = [
        [
            of_all,
            weighted_mean(of_class[y], of_all) - of_all,
            weighted_mean(of_class[rival(z, y)], of_all) - of_all,
        ]
        for z, y in zip(now.outputs, now.targets.tolist(), strict=True)
    ]
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.98])
def test_it_follows_the_batches(decay: float) -> None:
    conditioner, past = prepared(decay), []
    for seed in range(6):
        batch = drawn(CLASSES, seed=seed)
        torch.testing.assert_close(conditioner(*batch), expected(past, batch, decay))
        conditioner.observe(*batch)
        past.append(batch)


def test_a_class_that_is_away_keeps_its_mean() -> None:
    conditioner = prepared(decay=0.5)
    outputs = torch.tensor([[3.0, 0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0, 0.0]]).double()
    conditioner.observe(outputs, torch.tensor([0, 1]))
    for _ in range(2000):  # 2^-2000 is 0: what was there is as good as forgotten
        conditioner.observe(outputs[1:], torch.tensor([1]))
    of_all, own, _ = conditioner(outputs, torch.tensor([0, 1])).T
    assert (of_all + own).tolist() == [1.0, 1.0]
    again = prepared(decay=0.5)
    again.observe(outputs, torch.tensor([0, 1]))
    again.observe(outputs[1:], torch.tensor([1]))
    assert again(outputs, torch.tensor([0, 1]))[0, :2].sum() == 3.0


def test_it_tells_labels_that_moved_from_labels_that_are_random() -> None:
    """60% of class 0 are labelled 1, which the network predicts; or labels are random."""
    images = torch.arange(2).repeat_interleave(100)
    believed = torch.ones(200, dtype=torch.int64)  # of both: most of either are called 1
    outputs = 4.0 * torch.nn.functional.one_hot(believed, CLASSES).double()
    moved = torch.where((images == 0) & (torch.arange(200) % 10 < 6), 1, images)
    conditioner = prepared()
    conditioner.observe(outputs, moved)
    of_all, own, other = conditioner(outputs, moved).T
    mean = (-4.0 * 40 + 4.0 * 160) / 200
    assert (of_all == mean).all()
    assert (own[moved == 0] == -4.0 - mean).all()
    assert (other[moved == 0] == 4.0 - mean).all()
    assert (own[moved == 1] == 4.0 - mean).all()


def test_it_needs_no_preparation() -> None:
    conditioner, past = ClassMargins().double(), []
    empty = copy.deepcopy(conditioner.state_dict())
    for seed in range(3):
        batch = drawn(CLASSES, seed=seed)
        torch.testing.assert_close(conditioner(*batch), expected(past, batch, 0.98))
        tracked = conditioner.track(*batch)
        torch.testing.assert_close(tracked, expected(past, batch, 0.98))
        past.append(batch)
    fresh = ClassMargins().double()
    fresh.load_state_dict(conditioner.state_dict())
    assert torch.equal(fresh(*batch), conditioner(*batch))
    fresh.load_state_dict(empty)  # of one that has seen nothing
    assert torch.equal(fresh(*batch), torch.zeros(7, 3).double())


def test_reading_does_not_set_the_number_of_classes() -> None:
    conditioner = ClassMargins()
    conditioner(*drawn(num_classes=4))
    conditioner.observe(*drawn())
    assert conditioner.totals.shape == (CLASSES, 2)


@pytest.mark.bad_input
def test_outputs_of_other_classes_than_it_was_prepared_for() -> None:
    with pytest.raises(InputError, match=r"outputs of 5 classes, .* got 4"):
        prepared()(*drawn(num_classes=4))
    unprepared = ClassMargins()
    unprepared.observe(*drawn(num_classes=4))
    with pytest.raises(InputError, match=r"outputs of 4 classes, .* got 5"):
        unprepared(*drawn())
    with pytest.raises(InputError, match="expected a task with classes, got a regression"):
        ClassMargins().prepare(torch.zeros(3, 1), None)


@pytest.mark.bad_input
@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_decays_out_of_range(decay: float) -> None:
    with pytest.raises(InputError, match="decay: expected"):
        ClassMargins(decay)
