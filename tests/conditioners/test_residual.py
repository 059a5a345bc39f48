"""The absolute residual, and conditioners for any kind of targets."""

from __future__ import annotations

import copy

import pytest
import torch

from metaloss.checks import InputError
from metaloss.conditioners import (
    ClassGroup,
    Concat,
    Flipped,
    LossValue,
    Margin,
    MovingAverage,
    Progress,
    Residual,
    plain_conditioner,
)
from metaloss.kinds import CLASSIFICATION, REGRESSION
from metaloss.losses import Barron

OUTPUTS = torch.tensor([[1.0, 2.0], [0.0, -4.0], [3.0, 3.0]])
TARGETS = torch.tensor([[0.0, 4.0], [0.0, 0.0], [3.0, 3.0]])
SIZES = torch.tensor([[1.5], [2.0], [0.0]])


def test_it_is_the_mean_distance() -> None:
    assert torch.equal(Residual()(OUTPUTS, TARGETS), SIZES)
    assert torch.equal(Residual()(TARGETS, OUTPUTS), SIZES)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    found = Residual()(OUTPUTS.to(dtype), TARGETS)
    assert found.dtype == torch.float32
    assert torch.equal(found, SIZES)


def test_gradients_match_finite_differences() -> None:
    outputs = OUTPUTS[:2].double().requires_grad_()
    targets = TARGETS[:2].double() + 0.1  # off the kink at 0
    assert torch.autograd.gradcheck(lambda z: Residual()(z, targets), outputs)


def test_moving_averages_of_residuals() -> None:
    conditioner = MovingAverage(Residual(), decay=0.5)
    conditioner.prepare(TARGETS, None)
    index = torch.arange(3)
    conditioner.observe(OUTPUTS, TARGETS, index)
    torch.testing.assert_close(conditioner(TARGETS, TARGETS, index), SIZES / 2)


def test_several_at_once() -> None:
    conditioner = Concat([Residual(), LossValue(Barron()), Progress(), Flipped(SIZES[:, 0] > 0)])
    conditioner.set_progress(0.5)
    found = conditioner(OUTPUTS, TARGETS, torch.arange(3))
    assert found.shape == (3, 4)
    assert torch.equal(found[:, [0, 2, 3]], torch.cat([SIZES, 0 * SIZES + 0.5, SIZES > 0], dim=1))


@pytest.mark.parametrize(
    ("conditioner", "kind"),
    [
        (Residual(), REGRESSION),
        (Margin(), CLASSIFICATION),
        (Progress(), None),
        (LossValue(), CLASSIFICATION),
        (LossValue(Barron()), REGRESSION),
        (MovingAverage(Residual()), REGRESSION),
        (MovingAverage(Progress()), None),
        (Concat([Progress(), Residual()]), REGRESSION),
        (Concat([Progress()]), None),
    ],
    ids=str,
)
def test_what_a_conditioner_is_for(conditioner, kind) -> None:
    assert conditioner.kind == kind == copy.deepcopy(conditioner).kind


def test_what_is_read_if_nothing_else_is_asked_for() -> None:
    assert plain_conditioner(REGRESSION).name == "residual"
    assert isinstance(plain_conditioner(REGRESSION).conditioner, Residual)
    assert plain_conditioner(CLASSIFICATION).name == "margin"
    assert isinstance(plain_conditioner(CLASSIFICATION).conditioner, Margin)


@pytest.mark.bad_input
def test_margins_and_residuals_do_not_go_together() -> None:
    with pytest.raises(InputError, match="some of each: Margin, Residual"):
        Concat([Margin(), Residual()])


@pytest.mark.bad_input
def test_a_regression_has_no_classes_to_group() -> None:
    with pytest.raises(InputError, match="expected a task with classes to group"):
        ClassGroup().prepare(TARGETS, None)
