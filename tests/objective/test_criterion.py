"""The adjusted loss as a criterion."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import metaloss
from metaloss import AdjustedLoss, Adjuster, OracleAdjuster
from metaloss.adjusters import BaseAdjuster
from metaloss.conditioners import (
    Concat,
    Flipped,
    LossValue,
    Margin,
    MovingAverage,
    Progress,
)
from metaloss.kinds import CLASSIFICATION
from metaloss.losses import GCE, JS, SL, CrossEntropy, PolySoft, WeightedCE
from tests.helpers import oracles, states
from tests.helpers.half_precision import half_by_default


def logits(batch: int = 6, classes: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(batch, classes, generator=generator),
        torch.randint(classes, (batch,), generator=generator),
    )


def learned(loss=None, conditioner=None, **settings) -> AdjustedLoss:
    loss = GCE() if loss is None else loss
    conditioner = Margin() if conditioner is None else conditioner
    return AdjustedLoss(loss, conditioner, Adjuster.for_loss(loss, conditioner, 8), **settings)


@pytest.mark.parametrize(
    ("loss", "values", "oracle", "hparams"),
    [
        (CrossEntropy(), None, oracles.cross_entropy, ()),
        (GCE(), {"q": 0.3}, oracles.gce, (0.3,)),
        (SL(), {"gamma_1": 0.5}, oracles.sl(-4.0), (0.5, 1.0)),
        (PolySoft(), {"d": 3.0}, oracles.polysoft, (4.0, 3.0)),
        (JS(), None, oracles.js, (0.5,)),
    ],
    ids=["CE", "GCE", "SL", "PolySoft", "JS"],
)
def test_fixed_is_the_mean_of_the_conventional_loss(loss, values, oracle, hparams):
    outputs, targets = logits()
    criterion = AdjustedLoss.fixed(loss, values)
    expected = [
        float(oracle(z, y, hparams))
        for z, y in zip(outputs.double().tolist(), targets.tolist(), strict=True)
    ]
    value = criterion(outputs, targets)
    assert value.shape == ()
    assert value.item() == pytest.approx(sum(expected) / len(expected), rel=1e-5)
    assert criterion.per_sample(outputs, targets).losses.tolist() == pytest.approx(
        expected, rel=1e-5
    )


def test_fixed_cross_entropy_is_torchs():
    outputs, targets = logits()
    torch.testing.assert_close(
        AdjustedLoss.fixed(CrossEntropy())(outputs, targets), F.cross_entropy(outputs, targets)
    )


def test_each_sample_has_its_own_hyperparameters():
    """Eq. 8: the oracle's GCE is cross entropy where the label is right, half MAE elsewhere."""
    outputs, targets = logits()
    flipped = torch.tensor([True, False, True, False, False, True])
    criterion = AdjustedLoss(GCE(), Flipped(flipped), OracleAdjuster(GCE().hyperparameters))
    found = criterion.per_sample(outputs, targets, torch.arange(6))
    p = outputs.softmax(1).gather(1, targets[:, None])[:, 0]
    expected = torch.where(flipped, 1 - p, -p.log())
    torch.testing.assert_close(found.losses, expected)
    assert found.hparams[:, 0].tolist() == flipped.float().tolist()
    torch.testing.assert_close(criterion(outputs, targets, torch.arange(6)), expected.mean())


def test_parts_are_composed_as_the_paper_says():
    outputs, targets = logits()
    criterion = learned(SL(), Concat([Margin(), LossValue()]))
    features = torch.cat([Margin()(outputs, targets), LossValue()(outputs, targets)], dim=1)
    assert torch.equal(criterion.features(outputs, targets), features)
    hparams = criterion.adjuster(features)
    found = criterion.per_sample(outputs, targets)
    assert torch.equal(found.hparams, hparams)
    assert torch.equal(found.losses, SL()(outputs, targets, hparams))
    assert torch.equal(criterion(outputs, targets), found.losses.mean())


def test_samples_of_a_batch_do_not_mix():
    outputs, targets = logits()
    criterion = learned()
    whole = criterion(outputs, targets)
    alone = [criterion(outputs[[i]], targets[[i]]) for i in range(len(targets))]
    torch.testing.assert_close(torch.stack(alone).mean(), whole)


def test_it_trains_a_model():
    inputs = torch.randn(60, 5)
    targets = inputs[:, :3].argmax(1)
    model = nn.Linear(5, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    criterion = learned().requires_grad_(False)
    for _ in range(60):
        optimizer.zero_grad()
        criterion(model(inputs), targets).backward()
        optimizer.step()
    assert (model(inputs).argmax(1) == targets).double().mean() > 0.9


def test_it_moves_and_is_saved_as_any_module():
    class Trainer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = nn.Linear(5, 3)
            self.criterion = learned(conditioner=MovingAverage(Margin()))

    trainer = Trainer().double()
    trainer.criterion.prepare(torch.tensor([0, 1, 2, 1]), 3)
    batch = torch.randn(2, 3).double(), torch.tensor([1, 2]), torch.tensor([1, 2])
    trainer.criterion.observe(*batch)
    names = set(trainer.state_dict())
    assert {
        "criterion.adjuster.net.0.weight",
        "criterion.conditioner.memory",
        "criterion.conditioner.seen",
    } <= names
    fresh = Trainer().double()
    fresh.load_state_dict(copy.deepcopy(trainer.state_dict()))
    other = torch.randn(2, 3).double(), *batch[1:]
    assert torch.equal(fresh.criterion(*other), trainer.criterion(*other))
    again = copy.deepcopy(trainer.criterion)
    assert torch.equal(again(*other), trainer.criterion(*other))
    again.observe(*other)
    assert not torch.equal(again.conditioner.memory, trainer.criterion.conditioner.memory)


def test_calling_it_to_evaluate_changes_nothing():
    criterion = learned(conditioner=Concat([MovingAverage(Margin()), Progress()]))
    outputs, targets = logits()
    criterion.prepare(targets, 4)
    criterion.eval()
    state, rng = states.of_module(criterion), torch.get_rng_state()
    first = criterion(outputs, targets, torch.arange(6))
    criterion.losses(outputs + 1, targets, torch.arange(6)).sum().backward()
    criterion.zero_grad(set_to_none=True)
    assert torch.equal(criterion(outputs, targets, torch.arange(6)), first)
    assert states.same(states.of_module(criterion), state)
    assert torch.equal(torch.get_rng_state(), rng)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits(dtype: torch.dtype):
    outputs, targets = logits()
    outputs = outputs.to(dtype)
    criterion = learned()
    expected = criterion(outputs.float(), targets)
    outputs.requires_grad_()
    value = criterion(outputs, targets)
    assert value.dtype == torch.float32
    assert torch.equal(value, expected)
    value.backward()
    assert outputs.grad.dtype == dtype
    assert torch.isfinite(outputs.grad).all()


def test_half_precision_by_default():
    """In bfloat16, 0.999 is 1, where JS is not defined."""
    outputs, targets = logits()
    expected = AdjustedLoss.fixed(JS(), {"pi_1": 0.999})(outputs.bfloat16().float(), targets)
    with half_by_default():
        value = AdjustedLoss.fixed(JS(), {"pi_1": 0.999})(outputs.bfloat16(), targets)
    assert torch.equal(value, expected)


def test_half_precision_by_default_and_an_adjuster_of_ones_own():
    class Own(BaseAdjuster):
        def __init__(self) -> None:
            super().__init__(GCE().hyperparameters)
            self.layer = nn.Linear(1, 1)

        def forward(self, features: Tensor) -> Tensor:
            return self.bounded(self.layer(features))

    with half_by_default():
        adjuster = Own()
        weight = adjuster.layer.weight
        criterion = AdjustedLoss(GCE(), Margin(), adjuster)
    outputs, targets = logits()
    criterion(outputs.bfloat16(), targets).backward()
    assert adjuster.layer.weight is weight and weight.grad.dtype == torch.float32


def test_autocast():
    outputs, targets = logits()
    criterion = learned(SL())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = criterion(outputs.bfloat16(), targets)
        hparams = criterion.per_sample(outputs.bfloat16(), targets).hparams
    assert value.dtype == hparams.dtype == torch.float32
    found = criterion.per_sample(outputs.bfloat16(), targets)
    assert torch.equal(hparams, found.hparams)
    torch.testing.assert_close(value, found.losses.mean())


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["sl-fashion-mnist-context", "gce-cifar10-context"])
def test_values_that_are_not_finite_are_not_remembered(name: str, bad: float, monkeypatch):
    """As on an accelerator, where values are not checked."""
    monkeypatch.setattr("metaloss.objective.samples.readable", lambda _: False)
    criterion = metaloss.from_pretrained(name)
    criterion.progress(0.0)
    targets, index = torch.arange(40) % 10, torch.arange(40)
    criterion.prepare(targets, 10)
    outputs = torch.randn(40, 10, requires_grad=True)
    overflown = outputs.detach().clone().requires_grad_()
    with torch.no_grad():
        overflown[::2, 3] = bad
    criterion(overflown, targets, index)
    remembered = criterion.conditioner.state_dict().values()
    assert all(value.isfinite().all() for value in remembered)
    criterion.observe(overflown, targets, index)
    assert all(value.isfinite().all() for value in remembered)
    assert criterion(outputs, targets, index).isfinite()
    if bad != bad:  # a NaN is a loss of NaN: nobody is to overlook it
        assert criterion(overflown, targets, index).isnan()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_cast_with_its_network_it_predicts_the_same(dtype: torch.dtype):
    outputs, targets = logits()
    criterion = learned(SL())
    module = nn.ModuleDict({"criterion": criterion, "head": nn.Linear(2, 2)})
    expected = criterion.hparams(outputs, targets)
    module.to(dtype)
    assert module["head"].weight.dtype == dtype
    assert torch.equal(criterion.hparams(outputs, targets), expected)


@pytest.mark.parametrize("scale", [1e4, -1e4])
@pytest.mark.parametrize("loss", [GCE(), SL(), PolySoft(), JS(), WeightedCE()], ids=str)
def test_saturated_logits_have_finite_gradients(loss, scale: float):
    outputs = torch.zeros(2, 3)
    outputs[:, 0] = scale
    outputs.requires_grad_()
    criterion = learned(loss, detach=False)
    criterion(outputs, torch.tensor([0, 1])).backward()
    assert torch.isfinite(outputs.grad).all()
    for name, parameter in criterion.adjuster.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name


def test_a_call_checks_its_batch_once(monkeypatch: pytest.MonkeyPatch):
    checked = []
    monkeypatch.setattr(type(CLASSIFICATION), "check", lambda *batch: checked.append(batch))
    criterion = AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin()))
    batch = torch.randn(4, 3), torch.arange(4) % 3
    for call in (criterion, criterion.losses, criterion.per_sample, criterion.hparams):
        checked.clear()
        call(*batch)
        assert len(checked) == 1
