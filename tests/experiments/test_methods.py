"""The criteria that methods make."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from metaloss import Adjuster, OracleAdjuster
from metaloss.adjusters import GroupedAdjuster
from metaloss.checks import InputError
from metaloss.conditioners import ClassGroup, Concat, Margin, MovingAverage
from metaloss.experiments import (
    Adjusted,
    Conventional,
    Oracle,
)
from metaloss.losses import GCE, CrossEntropy
from tests.helpers.tasks import blobs


def test_conventional_is_constant() -> None:
    criterion = Conventional(name="GCE", loss=GCE(), values={"q": 0.3}).criterion(blobs())
    found = criterion.per_sample(torch.randn(4, 3), torch.arange(4) % 3)
    assert torch.equal(found.hparams, torch.full((4, 1), 0.3))


def test_each_adjusted_run_has_its_own_conditioner_and_adjuster() -> None:
    task = blobs()
    method = Adjusted(name="A", loss=GCE(), conditioner=MovingAverage(Margin()))
    first, second = method.criterion(task), method.criterion(task)
    first.prepare(task.train_targets, 3)
    assert len(first.conditioner.memory) == 60
    assert len(second.conditioner.memory) == 0
    assert first.adjuster is not second.adjuster


def test_adjusted_reads_the_margin_unless_told() -> None:
    criterion = Adjusted(name="A", loss=GCE()).criterion(blobs())
    assert type(criterion.conditioner) is Margin
    assert type(criterion.adjuster) is Adjuster


def test_any_adjuster_class_will_do() -> None:

    groups = ClassGroup(num_groups=2, groups=(0, 1, 1))
    method = Adjusted(
        name="A",
        loss=GCE(),
        conditioner=Concat([Margin(), groups]),
        adjuster=partial(GroupedAdjuster, num_groups=2),
    )
    assert type(method.criterion(blobs()).adjuster) is GroupedAdjuster


def test_oracle_is_told() -> None:
    task = blobs()
    criterion = Oracle(name="o", loss=GCE()).criterion(task)
    assert type(criterion.adjuster) is OracleAdjuster
    batch = next(iter(task.train.epoch(0)))
    found = criterion.per_sample(torch.randn(10, 3), batch.targets, batch.index)
    assert torch.equal(found.hparams[:, 0] == 1.0, task.flipped[batch.index])


def test_oracle_needs_a_task_that_knows() -> None:
    task = blobs()
    task.flipped = None
    with pytest.raises(InputError, match="knows its wrong labels"):
        Oracle(name="o", loss=GCE()).criterion(task)


def test_a_loss_with_nothing_to_adjust_is_refused() -> None:
    with pytest.raises(InputError, match="nothing to"):
        Adjusted(name="A-CE", loss=CrossEntropy()).criterion(blobs())
