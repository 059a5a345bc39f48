"""The criterion's hooks and the conditioner's memory."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from metaloss import AdjustedLoss, Adjuster, ConstantAdjuster, ScheduledAdjuster
from metaloss.checks import InputError
from metaloss.conditioners import (
    ClassMargins,
    Concat,
    Conditioner,
    Margin,
    Progress,
    RunningMean,
)
from metaloss.losses import GCE
from tests.adjusters.cases import constant
from tests.objective.test_criterion import logits


class Spy(Conditioner):
    """Records the calls of its hooks."""

    num_features = 1

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple] = []

    def forward(self, outputs, targets, index=None):
        return outputs[:, :1]

    def prepare(self, targets, num_classes):
        self.told.append(("prepare", targets, num_classes))

    def observe(self, outputs, targets, index=None):
        self.told.append(("observe", outputs, targets, index))

    def set_progress(self, fraction):
        self.told.append(("progress", fraction))


def test_the_hooks_reach_the_conditioner():
    spy = Spy()
    criterion = AdjustedLoss(GCE(), Concat([Margin(), spy]), Adjuster(2, GCE().hyperparameters))
    outputs, targets = logits()
    outputs.requires_grad_()
    index = torch.arange(6)
    criterion.per_sample(outputs, targets, index)
    assert spy.told == []
    for call in (criterion, criterion.losses, partial(criterion.per_sample, track=True)):
        call(outputs, targets, index)
        called = spy.told.pop()
        assert called[0] == "observe" and torch.equal(called[1], outputs) and called[3] is index
        assert not called[1].requires_grad and spy.told == []
    criterion.prepare(targets, 4)
    criterion.progress(0.25)
    criterion.observe(outputs, targets, index)
    prepared, progressed, observed = spy.told
    assert prepared[0] == "prepare" and prepared[1] is targets and prepared[2] == 4
    assert progressed == ("progress", 0.25)
    assert observed[0] == "observe" and observed[2] is targets and observed[3] is index
    assert torch.equal(observed[1], outputs)
    assert not observed[1].requires_grad


def test_progress_moves_snapshots_and_features():
    adjuster = ScheduledAdjuster([constant(0.25), constant(0.5)])
    criterion = AdjustedLoss(GCE(), Progress(), adjuster)
    outputs, targets = logits()
    for fraction, q in ((0.0, 0.25), (0.75, 0.5), (0.25, 0.25)):
        criterion.progress(fraction)
        assert criterion.per_sample(outputs, targets).hparams[:, 0].tolist() == [q] * 6
        assert criterion.features(outputs, targets)[:, 0].tolist() == [fraction] * 6


def test_the_hooks_without_a_conditioner():
    criterion = AdjustedLoss.fixed(GCE())
    outputs, targets = logits()
    criterion.prepare(targets, 4)
    criterion.progress(0.5)
    criterion.observe(outputs, targets)
    assert criterion.features(outputs, targets).shape == (6, 0)
    assert list(criterion.parameters()) == []
    assert criterion.adjuster(torch.empty(2, 0)).shape == (2, 1)
    assert isinstance(criterion.adjuster, ConstantAdjuster)


def test_half_precision_logits_do_not_round_the_hyperparameters() -> None:
    outputs = torch.randn(4, 3).bfloat16()
    found = AdjustedLoss.fixed(GCE(), {"q": 0.7}).per_sample(outputs, torch.arange(4) % 3)
    assert torch.equal(found.hparams, torch.full((4, 1), 0.7))


def test_double_precision_logits_meet_a_single_precision_adjuster() -> None:
    criterion = AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin()))
    outputs, targets = torch.randn(4, 3, dtype=torch.float64), torch.arange(4) % 3
    expected = criterion.per_sample(outputs.float(), targets).hparams
    torch.testing.assert_close(criterion.per_sample(outputs, targets).hparams, expected)


def test_it_remembers_what_it_is_trained_on_and_nothing_else():
    criterion = AdjustedLoss(
        GCE(),
        RunningMean(Margin(), decay=0.5),
        Adjuster.for_loss(GCE(), RunningMean(Margin())),
    )
    outputs, targets = torch.tensor([[4.0, 0.0]], requires_grad=True), torch.tensor([0])
    conditioner = criterion.conditioner
    with torch.no_grad():
        criterion(outputs, targets)
    criterion.eval()(outputs, targets)
    criterion.train().per_sample(outputs, targets)
    criterion.hparams(outputs, targets)
    assert conditioner.mean.item() == 0.0
    expected = criterion.per_sample(outputs, targets).losses.mean()
    assert torch.equal(criterion(outputs, targets), expected)  # as it was before the batch
    assert conditioner.mean.item() == 2.0
    criterion(outputs, targets).backward()
    assert conditioner.mean.item() == 3.0


def by_class() -> AdjustedLoss:
    conditioner = Concat([Margin(), ClassMargins(), RunningMean(Margin())])
    return AdjustedLoss(GCE(), conditioner, Adjuster.for_loss(GCE(), conditioner, 4))


def test_what_needs_the_number_of_classes_alone_needs_no_preparation() -> None:
    fresh, prepared = by_class(), by_class()
    prepared.load_state_dict(fresh.state_dict())
    outputs, targets = logits()
    prepared.prepare(targets, 4)
    for _ in range(3):
        assert torch.equal(fresh(outputs, targets), prepared(outputs, targets))
    again = by_class()
    again.load_state_dict(fresh.state_dict())
    assert torch.equal(again(outputs, targets), fresh(outputs, targets))
    again.prepare(targets, 4)  # begins anew
    assert not again.conditioner.state_dict()["conditioners.1.totals"].any()


@pytest.mark.parametrize("calls", [0, 1])
def test_a_memory_stays_out_of_transforms(calls: int) -> None:
    criterion, (outputs, targets) = by_class(), logits()
    for _ in range(calls):  # the first call makes the memory, the others write into it
        criterion(outputs, targets)
    before = {name: value.clone() for name, value in criterion.state_dict().items()}
    with pytest.raises(InputError, match=r"Concat remembers each batch.*training_loss.*observe"):
        torch.func.grad(lambda z: criterion(z, targets))(outputs)
    found = torch.func.grad(lambda z: criterion.training_loss(z, targets))(outputs)
    assert all(torch.equal(before[name], value) for name, value in criterion.state_dict().items())
    leaf = outputs.detach().requires_grad_()
    criterion(leaf, targets).backward()
    torch.testing.assert_close(found, leaf.grad)


def test_it_goes_to_the_device_of_the_outputs() -> None:
    criterion = AdjustedLoss.fixed(GCE(), weight=torch.ones(4))
    outputs, targets = logits()
    assert criterion(outputs, targets).device.type == "cpu"
    there = criterion(outputs.to("meta"), targets.to("meta"))
    assert there.device.type == criterion.weight.device.type == "meta"


def test_an_optimizer_of_the_adjuster_survives_a_move() -> None:
    criterion = by_class()
    optimizer = torch.optim.SGD(criterion.adjuster.parameters(), lr=1.0)
    criterion.double()  # a move of the same kind as one to another device
    held = optimizer.param_groups[0]["params"]
    assert all(p is q for p, q in zip(held, criterion.adjuster.parameters(), strict=True))
    assert held[0].dtype == torch.float64
