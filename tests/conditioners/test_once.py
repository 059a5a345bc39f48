"""What conditioners side by side read alike."""

from __future__ import annotations

import threading

import pytest
import torch

from metaloss.conditioners import (
    ClassMargins,
    Concat,
    Conditioner,
    Magnitude,
    Margin,
    MovingAverage,
    ProbabilityMargin,
    RunningMean,
)
from metaloss.conditioners.once import Sharing, once
from tests.conditioners.cases import drawn, training_labels

CLASSES = 5


def parts() -> list[Conditioner]:
    return [
        Margin(),
        MovingAverage(Margin()),
        ClassMargins(),
        RunningMean(Magnitude(Margin())),
        ProbabilityMargin(),
    ]


@pytest.fixture
def counted(monkeypatch):
    """How often a margin is computed: each takes one maximum."""
    calls = []
    plain = torch.Tensor.scatter

    def scatter(self, *args, **kwargs):
        calls.append(self)
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(torch.Tensor, "scatter", scatter)
    return calls


@pytest.mark.parametrize("how", ["__call__", "track", "observe"])
def test_side_by_side_the_margin_is_computed_once(how, counted) -> None:
    conditioner = Concat([*parts(), Concat([Margin()])])
    conditioner.prepare(training_labels(CLASSES), CLASSES)
    for seed in (1, 2):  # other tensors are another batch
        counted.clear()
        getattr(conditioner, how)(*drawn(CLASSES, seed=seed))
        assert len(counted) == (1 if how == "observe" else 2)  # of logits, and of probabilities


def test_side_by_side_is_as_one_by_one() -> None:
    together, apart = Concat(parts()), parts()
    for conditioner in (together, *apart):
        conditioner.prepare(training_labels(CLASSES), CLASSES)
    for seed in range(4):
        batch = drawn(CLASSES, seed=seed)
        expected = torch.cat([conditioner.track(*batch) for conditioner in apart], dim=1)
        assert torch.equal(together.track(*batch), expected)
    assert torch.equal(together(*batch), torch.cat([part(*batch) for part in apart], dim=1))


def test_gradients_pass_through_what_is_shared() -> None:
    outputs, targets = torch.randn(6, CLASSES, requires_grad=True), torch.arange(6) % CLASSES
    features = Concat([Margin(), Magnitude(Margin())])(outputs, targets)
    (found,) = torch.autograd.grad(features.sum(), outputs)
    alone = sum(part(outputs, targets).sum() for part in (Margin(), Magnitude(Margin())))
    assert torch.equal(found, torch.autograd.grad(alone, outputs)[0])


@once
def twice_as_much(values: torch.Tensor) -> torch.Tensor:
    return 2 * values


def test_nothing_is_kept_afterwards() -> None:
    values = torch.ones(2)
    with pytest.raises(ZeroDivisionError), Sharing():
        before = twice_as_much(values)
        raise ZeroDivisionError
    with Sharing():
        assert twice_as_much(values) is not before
    assert twice_as_much(values) is not twice_as_much(values)


def test_nor_in_another_thread() -> None:
    values, found = torch.ones(2), []
    with Sharing():
        ours = twice_as_much(values)
        other = threading.Thread(target=lambda: found.append(twice_as_much(values)))
        other.start()
        other.join()
        assert twice_as_much(values) is ours
    assert found[0] is not ours


def test_without_a_graph_nothing_is_kept_for_those_who_want_one() -> None:
    values = torch.ones(2, requires_grad=True)
    with Sharing():
        with torch.no_grad():
            twice_as_much(values)
        assert twice_as_much(values).requires_grad


def test_arguments_left_out_are_other_arguments() -> None:
    @once
    def times(values: torch.Tensor, factor: int = 2) -> torch.Tensor:
        return factor * values

    values = torch.ones(2)
    with Sharing():
        assert [times(values)[0], times(values, 3)[0], times(values, factor=4)[0]] == [2, 3, 4]
