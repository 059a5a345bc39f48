"""Tensors that something else than training has overwritten are noticed at the first step."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import nn

import metaloss
from metaloss import AdjustedLoss, Adjuster, InputError
from metaloss.conditioners import Margin
from metaloss.losses import GCE

TARGETS = torch.tensor([0, 1, 2, 3])


def learned() -> AdjustedLoss:
    return AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin()))


def loaded() -> AdjustedLoss:
    return metaloss.from_pretrained("gce", total_steps=10)


def step(criterion: AdjustedLoss) -> None:
    criterion(torch.randn(4, 5, requires_grad=True), TARGETS).backward()


def init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


@pytest.mark.bad_input
@pytest.mark.parametrize("value", [0.0, 1.6e13, float("nan")])
@pytest.mark.parametrize("build", [learned, loaded, lambda: AdjustedLoss.fixed(GCE())])
def test_other_bounds_are_refused(build: Callable[[], AdjustedLoss], value: float) -> None:
    criterion = build()
    criterion.adjuster.high.fill_(value)
    with pytest.raises(InputError, match=r"criterion: expected q between .*after the m"):
        step(criterion)


def test_a_model_that_initializes_its_layers_is_warned_of_once() -> None:
    model = nn.ModuleDict({"out": nn.Linear(2, 5), "criterion": loaded()})
    model.apply(init_weights)
    with pytest.warns(UserWarning, match="adjuster have changed since it was loaded") as said:
        step(model["criterion"])
    assert len(said) == 1 and said[0].filename == __file__
    quiet(model["criterion"])


def with_another_state(criterion: AdjustedLoss) -> AdjustedLoss:
    other = metaloss.from_pretrained("gce", total_steps=10)
    other.apply(init_weights)
    criterion.load_state_dict(other.state_dict())
    return criterion


def trained(criterion: AdjustedLoss) -> AdjustedLoss:
    criterion.requires_grad_(True)
    criterion.apply(init_weights)
    step(criterion)
    return criterion.requires_grad_(False)


def moved(criterion: AdjustedLoss) -> AdjustedLoss:
    return criterion.half().double().to("cpu").float()


def quiet(criterion: AdjustedLoss) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(criterion)


@pytest.mark.parametrize("change", [with_another_state, trained, moved, copy.deepcopy])
def test_what_is_meant_is_no_overwriting(change) -> None:
    quiet(change(loaded()))


@pytest.mark.parametrize("build", [loaded, learned, lambda: AdjustedLoss.fixed(GCE())])
def test_a_criterion_that_nobody_touched(build: Callable[[], AdjustedLoss]) -> None:
    quiet(build())


def test_weights_of_an_adjuster_made_anew_are_not_compared() -> None:
    """It was trained in one criterion, and is frozen in another one."""
    before = loaded().requires_grad_(True)
    step(before)
    before.apply(init_weights)
    quiet(AdjustedLoss(before.loss, before.conditioner, before.adjuster.requires_grad_(False)))
