"""A call in evaluation returns the plain loss, and leaves everything as it is."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F

import metaloss
from metaloss import AdjustedLoss, Adjuster
from metaloss.conditioners import ClassMargins, Concat, Margin, Residual, RunningMean
from metaloss.kinds import REGRESSION
from metaloss.losses import SL, Barron
from tests.helpers import states

WAYS = {
    "eval": (False, nullcontext),
    "no_grad": (True, torch.no_grad),
    "inference": (True, torch.inference_mode),
    "both": (False, torch.no_grad),
}
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
WEIGHT = torch.tensor([0.5, 2.0, 1.0, 3.0])


def learned(**settings) -> AdjustedLoss:
    conditioner = Concat([Margin(), ClassMargins(), RunningMean(Margin())])
    adjuster = Adjuster.for_loss(SL(), conditioner, 4)
    return AdjustedLoss(SL(), conditioner, adjuster, total_steps=9, **settings)


@every_way
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("settings", [{}, {"weight": WEIGHT, "ignore_index": 2}], ids=str)
@pytest.mark.parametrize("shape", [(8,), (2, 3)])
def test_it_is_torchs_cross_entropy(way, reduction: str, settings, shape) -> None:
    training, gradients = way
    criterion = learned(reduction=reduction, **settings)
    outputs, targets = torch.randn(shape[0], 4, *shape[1:]), torch.randint(4, shape)
    criterion(outputs, targets)  # a step of training, to be remembered
    criterion.train(training)
    before = states.of_module(criterion)
    with gradients():
        found = criterion(outputs, targets)
    expected = F.cross_entropy(outputs, targets, reduction=reduction, **settings)
    torch.testing.assert_close(found, expected)
    assert states.same(states.of_module(criterion), before)
    assert criterion.steps.done == 1


@every_way
def test_losses_and_per_sample_are_always_adjusted(way) -> None:
    training, gradients = way
    criterion = learned()
    outputs, targets = torch.randn(8, 4), torch.randint(4, (8,))
    expected = criterion.per_sample(outputs, targets).losses
    plain = F.cross_entropy(outputs, targets, reduction="none")
    assert not torch.allclose(expected, plain, rtol=0.01)
    criterion.train(training)
    with gradients():
        assert torch.equal(criterion.losses(outputs, targets), expected)
        assert torch.equal(criterion.per_sample(outputs, targets).losses, expected)
    assert criterion.steps.done == 0
    assert not torch.allclose(criterion.train()(outputs, targets), plain.mean(), rtol=0.01)


def test_of_values_it_is_half_the_squared_error() -> None:
    criterion = AdjustedLoss(Barron(), Residual(), Adjuster.for_loss(Barron(), Residual()))
    outputs, targets = torch.randn(8, 2), torch.randn(8, 2)
    found = criterion.eval()(outputs, targets)
    assert torch.equal(found, REGRESSION.mean_loss(outputs, targets))
    torch.testing.assert_close(found, F.mse_loss(outputs, targets) / 2)


def test_it_needs_no_ids() -> None:
    """What a memory holds is of the training samples."""
    criterion = metaloss.from_pretrained("sl-fashion-mnist-context")
    outputs, targets = torch.randn(8, 10), torch.randint(10, (8,))
    assert torch.equal(criterion.eval()(outputs, targets), F.cross_entropy(outputs, targets))


@pytest.mark.bad_input
def test_bad_input_is_refused_there_too() -> None:
    criterion = learned().eval()
    with pytest.raises(metaloss.InputError, match=r"labels in 0..3, got 0..4"):
        criterion(torch.zeros(2, 4), torch.tensor([0, 4]))
    with pytest.raises(metaloss.InputError, match="expected finite values"):
        criterion(torch.full((2, 4), float("nan")), torch.tensor([0, 3]))


def test_a_module_that_evaluates_takes_the_criterion_along() -> None:
    module = torch.nn.ModuleDict({"net": torch.nn.Linear(3, 4), "criterion": learned()})
    outputs, targets = torch.randn(8, 4), torch.randint(4, (8,))
    plain = F.cross_entropy(outputs, targets)
    assert torch.equal(module.eval()["criterion"](outputs, targets), plain)
    assert not torch.equal(module.train()["criterion"](outputs, targets), plain)


def test_it_is_trained_after_a_first_batch_in_inference_mode() -> None:
    criterion = learned()
    outputs, targets = torch.randn(8, 4), torch.randint(4, (8,))
    with torch.inference_mode():
        criterion.observe(outputs, targets)
    criterion(outputs, targets).backward()
    saved = criterion.state_dict()
    with torch.inference_mode():
        criterion.prepare(targets, 4)
        criterion.load_state_dict(saved)
    criterion(outputs, targets).backward()


def test_what_moves_in_inference_mode_can_be_trained() -> None:
    criterion = learned()
    with torch.inference_mode():
        criterion.hparams(torch.randn(8, 4, device="meta"), torch.randint(4, (8,), device="meta"))
    tensors = [*criterion.parameters(), *criterion.buffers()]
    assert {(t.device.type, t.is_inference()) for t in tensors} == {("meta", False)}
