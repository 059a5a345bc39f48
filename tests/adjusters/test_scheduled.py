"""Snapshots that are switched during training."""

from __future__ import annotations

import math

import pytest
import torch

from metaloss.adjusters import Adjuster, ConstantAdjuster, ScheduledAdjuster
from metaloss.checks import InputError
from metaloss.losses import GCE, SL
from tests.adjusters.cases import constant

QS = [0.1, 0.2, 0.3, 0.4]


def in_use(adjuster: ScheduledAdjuster) -> int:
    """Return the position of the selected snapshot."""
    q = adjuster(torch.empty(1, 0)).item()
    return [pytest.approx(known) for known in QS].index(q)


def scheduled(count: int, until: list[float] | None = None) -> ScheduledAdjuster:
    return ScheduledAdjuster([constant(q) for q in QS[:count]], until)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_last_one_until_told_otherwise(count: int):
    assert in_use(scheduled(count)) == count - 1


@pytest.mark.parametrize(
    ("count", "epochs"), [(1, 7), (2, 333), (3, 3), (3, 100), (3, 120), (4, 30), (4, 333)]
)
def test_each_serves_an_equal_part_of_training(count: int, epochs: int):
    """Epoch ``e`` of ``E`` belongs to part ``floor(count e / E)``, in whole numbers."""
    adjuster = scheduled(count)
    for epoch in range(epochs):
        adjuster.set_progress(epoch / epochs)
        assert in_use(adjuster) == count * epoch // epochs
    adjuster.set_progress(1.0)
    assert in_use(adjuster) == count - 1


def test_three_switch_at_a_third_and_two_thirds():
    adjuster = scheduled(3)
    assert adjuster.until == (1 / 3, 2 / 3, 1.0)
    told = [0.0, 0.333, 1 / 3, 0.5, 0.666, 2 / 3, 0.9, 1.0, 0.1]
    found = []
    for fraction in told:
        adjuster.set_progress(fraction)
        found.append(in_use(adjuster))
    assert found == [0, 0, 1, 1, 1, 2, 2, 2, 0]


def test_other_fractions():
    adjuster = scheduled(3, until=[0.1, 0.2, 1])
    found = []
    for fraction in (0.05, 0.1, 0.15, 0.2, 0.99, 1.0):
        adjuster.set_progress(fraction)
        found.append(in_use(adjuster))
    assert found == [0, 1, 1, 2, 2, 2]


def test_snapshots_are_frozen():
    adjuster = ScheduledAdjuster([Adjuster(1, GCE().hyperparameters) for _ in range(2)])
    assert adjuster.num_features == 1
    assert len(list(adjuster.parameters())) == 8
    assert not any(p.requires_grad for p in adjuster.parameters())
    features = torch.randn(4, 1, requires_grad=True)
    hparams = adjuster(features)
    (slope,) = torch.autograd.grad(hparams.sum(), features)
    assert (slope != 0).any(), "the features still count where they are not held fixed"


def test_each_snapshot_is_that_adjuster():
    snapshots = [Adjuster(2, SL().hyperparameters, hidden=5) for _ in range(3)]
    adjuster = ScheduledAdjuster(snapshots)
    features = torch.randn(4, 2)
    for k, fraction in enumerate((0.0, 0.5, 1.0)):
        adjuster.set_progress(fraction)
        assert torch.equal(adjuster(features), snapshots[k](features))


def test_no_snapshot():
    with pytest.raises(InputError, match="expected one snapshot or more, got none"):
        ScheduledAdjuster([])


@pytest.mark.parametrize(
    "other",
    [
        ConstantAdjuster(SL().hyperparameters),
        Adjuster(1, GCE().hyperparameters),
    ],
)
def test_snapshots_of_different_adjusters(other):
    with pytest.raises(InputError, match="expected snapshots of one adjuster"):
        ScheduledAdjuster([constant(0.5), other])


@pytest.mark.parametrize(
    "until",
    [
        [0.5, 1.0],
        [0.3, 0.6, 0.9],
        [0.6, 0.3, 1.0],
        [0.5, 0.5, 1.0],
        [0.0, 0.5, 1.0],
        [-0.5, 0.5, 1.0],
        [0.5, 1.0, 1.5],
        [math.nan, 0.5, 1.0],
        [0.3, math.nan, 1.0],
        [0.3, 0.6, math.nan],
    ],
)
def test_fractions_that_do_not_ascend_to_one(until: list[float]):
    with pytest.raises(InputError, match=r"until: expected .*fraction.*, got"):
        scheduled(3, until)
