"""The contract of every adjuster; a new one is tested without an edit."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from metaloss.losses import GCE, LossFamily
from tests.adjusters.cases import LOSSES, Case, adjuster_classes, cases, learnable
from tests.helpers import states
from tests.helpers.half_precision import half_by_default

everyone = pytest.mark.parametrize("case", cases().values(), ids=cases().keys())
every_learner = pytest.mark.parametrize("case", learnable().values(), ids=learnable().keys())
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=str)


def test_there_are_adjusters_that_learn_and_some_that_do_not():
    assert {"Adjuster", "GroupedAdjuster"} <= set(learnable())
    assert set(cases()) - set(learnable()) >= {"ConstantAdjuster", "ScheduledAdjuster"}


# What it gives


@everyone
@every_loss
@pytest.mark.parametrize("batch", [0, 9])
def test_gives_a_row_of_hyperparameters_a_sample(case: Case, loss: LossFamily, batch: int):
    adjuster = case.build(loss)
    assert adjuster.hyperparameters == loss.hyperparameters
    hparams = adjuster(case.features(adjuster, batch, 1.0))
    assert hparams.shape == (batch, len(loss.hyperparameters))
    assert hparams.dtype == torch.float32
    loss(torch.randn(batch, 4), torch.zeros(batch).long(), hparams)


@everyone
@every_loss
@pytest.mark.parametrize(
    ("dtype", "scale"), [(torch.float32, 1.0), (torch.float32, 1e30), (torch.float64, 1e4)]
)
def test_stays_inside_the_ranges(case: Case, loss: LossFamily, dtype: torch.dtype, scale: float):
    torch.manual_seed(3)
    adjuster = case.build(loss).to(dtype)
    hparams = adjuster(case.features(adjuster, 64, scale).to(dtype))
    # The ends themselves, rounded as the adjuster keeps them.
    for column, h in zip(hparams.unbind(1), loss.hyperparameters, strict=True):
        low, high = torch.tensor(h.low).to(dtype), torch.tensor(h.high).to(dtype)
        assert ((low <= column) & (column <= high)).all(), (column.min(), column.max())


@every_learner
@every_loss
def test_reaches_from_end_to_end(case: Case, loss: LossFamily):
    adjuster = case.build(loss)
    final = list(adjuster.parameters())[-1]
    features = case.features(adjuster, 6, 1.0)
    for bias, ends in (
        (-100.0, [h.low for h in loss.hyperparameters]),
        (100.0, [h.high for h in loss.hyperparameters]),
    ):
        torch.nn.init.constant_(final, bias)
        expected = torch.tensor([ends] * 6)
        torch.testing.assert_close(adjuster(features), expected, rtol=1e-6, atol=1e-7)


@every_learner
def test_a_fresh_one_is_well_inside_the_range(case: Case):
    """Otherwise the sigmoid's slope would be too small to learn."""
    adjuster = case.build(GCE())
    hparams = adjuster(case.features(adjuster, 50, 1.0))
    assert 0.1 < hparams.min() < hparams.max() < 0.9


@everyone
def test_samples_stand_alone(case: Case):
    adjuster = case.build(GCE()).double()
    features = case.features(adjuster, 9, 1.0).double()
    hparams = adjuster(features)
    for chosen in (torch.tensor([8, 2, 5, 0, 1, 7, 3, 6, 4]), torch.tensor([4]), slice(2, 5)):
        torch.testing.assert_close(
            adjuster(features[chosen]), hparams[chosen], rtol=1e-13, atol=1e-14
        )


@everyone
def test_reading_changes_nothing(case: Case):
    adjuster = case.build(GCE())
    features = case.features(adjuster, 9, 1.0)
    state, before, rng = states.of_module(adjuster), features.clone(), torch.get_rng_state()
    first = adjuster(features).detach().clone()
    adjuster(case.features(adjuster, 9, 5.0, seed=1))
    assert torch.equal(adjuster(features), first)
    assert states.same(states.of_module(adjuster), state)
    assert torch.equal(features, before)
    assert torch.equal(torch.get_rng_state(), rng)


# How it learns


@every_learner
@every_loss
def test_every_parameter_is_reached(case: Case, loss: LossFamily):
    adjuster = case.build(loss)
    hparams = adjuster(case.features(adjuster, 60, 2.0))
    hparams.sum().backward()
    for name, parameter in adjuster.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
            # A hidden unit may be asleep for every feature drawn, the bulk of them may not.
            assert (parameter.grad != 0).double().mean() > 0.5, name


@pytest.mark.parametrize("name", sorted(set(cases()) - set(learnable())))
def test_what_does_not_learn_gives_plain_numbers(name: str):
    case = cases()[name]
    adjuster = case.build(GCE())
    assert not adjuster(case.features(adjuster, 5, 1.0)).requires_grad


@every_learner
def test_gradients_match_finite_differences(case: Case):
    adjuster = case.build(LOSSES[1]).double()
    names = [name for name, _ in adjuster.named_parameters()]
    theta = [p.detach()[:3].clone().requires_grad_() for p in adjuster.parameters()]
    features = case.features(adjuster, 6, 1.0).double().requires_grad_()

    def hparams(x: torch.Tensor, *some: torch.Tensor) -> torch.Tensor:
        whole = {
            name: torch.cat([part, p.detach()[3:]])
            for name, part, p in zip(names, some, adjuster.parameters(), strict=True)
        }
        return torch.func.functional_call(adjuster, whole, (x,))

    assert gradcheck(hparams, (features, *theta), check_forward_ad=True)
    assert gradgradcheck(hparams, (features, *theta), atol=1e-4)


# How it is kept


@everyone
@every_loss
def test_its_state_fits_a_fresh_one(case: Case, loss: LossFamily):
    torch.manual_seed(1)
    adjuster = case.build(loss)
    features = case.features(adjuster, 9, 1.0)
    torch.manual_seed(2)
    fresh = case.build(loss)
    fresh.load_state_dict(copy.deepcopy(adjuster.state_dict()))
    assert torch.equal(fresh(features), adjuster(features))


@everyone
def test_a_copy_lives_its_own_life(case: Case):
    adjuster = case.build(GCE())
    features = case.features(adjuster, 9, 1.0)
    hparams = adjuster(features).detach()
    again = copy.deepcopy(adjuster)
    assert torch.equal(again(features), hparams)
    assert [p.requires_grad for p in again.parameters()] == [
        p.requires_grad for p in adjuster.parameters()
    ]
    with torch.no_grad():
        for tensor in (*again.parameters(), *again.buffers()):
            tensor.add_(1.0)
    again.set_progress(0.0)
    assert torch.equal(adjuster(features), hparams)


@everyone
@every_loss
def test_is_made_in_float32_where_half_precision_is_the_default(case: Case, loss: LossFamily):
    torch.manual_seed(1)
    with half_by_default():
        adjuster = case.build(loss)
    torch.manual_seed(1)
    assert states.same(states.of_module(adjuster), states.of_module(case.build(loss)))


@everyone
@pytest.mark.parametrize("fraction", [0.0, 0.5, 1.0])
def test_can_be_told_of_progress(case: Case, fraction: float):
    adjuster = case.build(GCE())
    adjuster.set_progress(fraction)
    hparams = adjuster(case.features(adjuster, 4, 1.0))
    assert hparams.shape == (4, 1)
    assert all(math.isfinite(q) for q in hparams.flatten().tolist())


@pytest.mark.parametrize("item", adjuster_classes())
def test_is_documented(item: type):
    assert len(item.__doc__) > 40
    assert "Example:" in item.__doc__
