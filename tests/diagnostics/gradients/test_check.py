"""What is right passes; what is wrong is found, and found where it is."""

from __future__ import annotations

import json

import pytest
import torch
import torchopt
from torch import nn

from metaloss import InputError
from metaloss.bilevel import Lookahead
from metaloss.diagnostics.gradients.check import check_grad
from metaloss.diagnostics.gradients.layers import layer_parts
from metaloss.diagnostics.gradients.report import Document
from tests.bilevel.models import MODELS
from tests.diagnostics.gradients.cases import (
    Apply,
    Block,
    Detaching,
    Fails,
    HalfHidden,
    NoForward,
    NotSecond,
    NotTwice,
    OnceOnly,
    WrongBackward,
    WrongForward,
    deep,
    subject,
)
from tests.helpers import states
from tests.helpers.exhaustive import mostly_exhaustive

FEW = ("MLP-dropout", "CNN-BatchNorm", "LSTM", "tied")


def statuses(report) -> dict[str, str]:
    return {check.name: check.status for check in report.checks}


def errors(report) -> dict[str, float]:
    return {check.name: check.error for check in report.checks}


def labels(found) -> list[str]:
    return [layer.name for layer in found if layer.differs(1e-9, 1e-4)]


# What is right


@pytest.mark.parametrize("make", mostly_exhaustive(MODELS, *FEW))
def test_right_models_pass(make):
    report = check_grad(subject(make(), steps=2))
    assert set(statuses(report).values()) == {"ok"}, errors(report)
    assert report.holds
    assert report.notes == report.layers == []


def test_features_that_derivatives_hold_fixed_are_held_in_real_training():
    report = check_grad(subject(deep(nn.Tanh()), steps=3, detach=True))
    assert statuses(report)["mixed against real training"] == "ok", errors(report)


def test_in_single_precision():
    here = subject(deep(nn.Tanh()))
    for module in (here.model, here.criterion):
        module.float()
    (batch,) = here.train_batches
    here.train_batches[0] = batch._replace(inputs=batch.inputs.float())
    meta = here.meta_batch._replace(inputs=here.meta_batch.inputs.float())
    report = check_grad(type(here)(**{**vars(here), "meta_batch": meta}))
    assert report.holds, errors(report)
    assert report.checks[0].threshold == 1e-3


@pytest.mark.parametrize("model", mostly_exhaustive(MODELS, *FEW))
def test_no_layer_of_a_right_model_differs(model):
    assert labels(layer_parts(subject(model(), steps=2))) == []


def test_layers_are_in_the_order_of_the_forward_pass():
    model = deep(nn.Tanh())
    names = [layer.name for layer in layer_parts(subject(model))]
    assert names == ["1", "3", "5", "6", "9"]


def test_layers_add_up_to_the_hypergradient():
    """Parts as long as the whole, one of length 1 among them."""
    found = layer_parts(subject(deep(nn.Tanh())))
    assert max(layer.share for layer in found) == 1.0
    assert all(layer.share > 0 for layer in found if layer.name != "5")


# What is wrong


@pytest.mark.parametrize("steps", [1, 2])
def test_a_wrong_forward_mode_rule(steps: int):
    report = check_grad(subject(deep(Apply(WrongForward.apply)), steps))
    found = statuses(report)
    assert found["mixed against unroll"] == found["mixed against real training"] == "differs"
    assert found["unroll against real training"] == "ok"
    assert found["difference against mixed"] == "differs"
    assert not report.holds
    # Tangents of what comes before it pass through it.
    assert labels(report.layers) == ["1", "3"]
    strategies, layer, derivative = report.conclusions
    assert strategies == "mixed is wrong: unroll and difference agree with real training"
    assert "the last of them in the forward pass is 3 (Linear)" in layer
    assert layer.endswith("the wrong derivative is in 3 (Linear), 4 (Apply)")
    assert "forward mode is wrong there" in derivative
    assert "Lookahead(strategy='unroll')" in derivative


def test_a_wrong_backward():
    report = check_grad(subject(deep(Apply(WrongBackward.apply))))
    found = statuses(report)
    assert found["mixed against unroll"] == "differs"
    assert found["unroll against real training"] == "differs"
    assert labels(report.layers) == ["1", "3"]
    strategies, layer, derivative = report.conclusions
    assert "none agrees with real training" in strategies
    assert layer.endswith("in 3 (Linear), 4 (Apply)")
    assert "the backward pass there, or its derivative, is wrong" in derivative


def test_a_backward_that_cannot_be_differentiated_rightly():
    report = check_grad(subject(deep(Apply(NotTwice.apply))))
    found = statuses(report)
    assert found["mixed against unroll"] == found["unroll against real training"] == "differs"
    assert found["mixed against real training"] == "ok"
    strategies, layer, derivative = report.conclusions
    assert strategies == "unroll is wrong: mixed and difference agree with real training"
    assert layer.endswith("in 3 (Linear), 4 (Apply)")
    assert "the backward pass there, or its derivative, is wrong" in derivative


def test_a_wrong_second_derivative_matters_from_two_steps_on():
    model = deep(Apply(NotSecond.apply))
    assert check_grad(subject(model, steps=1)).holds
    report = check_grad(subject(model, steps=2))
    found = statuses(report)
    assert found["mixed against unroll"] == "ok"
    assert found["mixed against real training"] == "differs"
    assert labels(report.layers) == ["1", "3"]
    _, layer, derivative = report.conclusions
    assert layer.endswith("in 3 (Linear), 4 (Apply)")
    assert "the second derivative there is wrong" in derivative


def test_a_module_that_detaches():
    report = check_grad(subject(deep(Detaching())))
    found = statuses(report)
    assert found["mixed against unroll"] == "ok"
    assert found["mixed against real training"] == "differs"
    assert labels(report.layers) == ["1", "3"]
    _, layer, derivative = report.conclusions
    assert layer.endswith("in 3 (Linear), 4 (Detaching)")
    assert "something is detached" in derivative


def test_what_is_wrong_in_a_modules_own_forward_is_not_laid_to_its_parts():
    report = check_grad(subject(deep(Block(WrongForward.apply))))
    assert report.conclusions[1].endswith("in 4.inner (Linear), 4 (Block)")
    assert labels(report.layers) == ["1", "3", "4.inner"]


def test_of_two_wrong_modules_the_last_is_named():
    model = nn.Sequential(deep(Apply(WrongForward.apply)), Apply(WrongBackward.apply))
    report = check_grad(subject(model))
    assert "in 0.9 (Linear), 0 (Sequential), 1 (Apply)" in report.conclusions[1]


def test_a_loss_that_detaches_is_said_and_no_module_accused():
    report = check_grad(subject(deep(nn.Tanh()), loss=HalfHidden()))
    found = statuses(report)
    assert found["mixed against unroll"] == found["difference against mixed"] == "ok"
    assert found["mixed against real training"] == "differs"
    assert found["unroll against real training"] == "differs"
    assert report.conclusions == [
        "all strategies agree with each other but not with finite differences of real training: "
        "the loss, conditioner or model is not differentiable where it is evaluated, or detaches "
        "something"
    ]


# What cannot be compared


@pytest.mark.parametrize(
    ("strategy", "holds"), [("unroll", True), ("auto", True), ("mixed", False)]
)
def test_without_a_forward_mode_rule_the_rest_is_compared(strategy: str, holds: bool):
    report = check_grad(subject(deep(Apply(NoForward.apply)), strategy=strategy))
    found = statuses(report)
    assert found["mixed against unroll"] == found["mixed against real training"] == "skipped"
    assert found["unroll against real training"] == "ok"
    assert found["difference against unroll"] == "ok"
    assert report.holds is holds  # what training needs must be there
    (note,) = report.notes
    assert "expected operations with a forward-mode rule" in note
    assert "4 (Apply)" in note


def test_with_first_derivatives_alone_differences_are_held_against_real_training():
    report = check_grad(subject(deep(Apply(OnceOnly.apply)), strategy="difference"))
    found = statuses(report)
    assert found.pop("difference against real training") == "ok"
    assert set(found.values()) == {"skipped"}
    assert report.holds
    assert "differentiated twice" in " ".join(report.notes)


def test_a_strategy_that_fails_in_torch_is_a_note():
    report = check_grad(subject(deep(Apply(Fails.apply)), strategy="unroll"))
    assert statuses(report)["mixed against unroll"] == "skipped"
    assert statuses(report)["unroll against real training"] == "ok"
    assert "torch says: out of order" in " ".join(report.notes)


def test_an_optimizer_that_is_not_known_is_bad_input():
    here = subject(deep(nn.Tanh()))
    optimizer = torch.optim.Rprop(here.model.parameters())
    with pytest.raises(InputError, match=r"got torch\.optim\.rprop\.Rprop"):
        check_grad(type(here)(**{**vars(here), "optimizer": optimizer}))


def test_half_precision_is_refused():
    here = subject(nn.Sequential(nn.Flatten(), nn.Linear(36, 3)))
    here.model.to(torch.bfloat16)
    with pytest.raises(InputError, match=r"expected torch.float64 or torch.float32, got torch.bf"):
        check_grad(here)


def test_no_directions():
    with pytest.raises(InputError, match="directions: expected a whole number of at least 1"):
        check_grad(subject(deep(nn.Tanh())), directions=0)


# What is left alone, and what is written


@pytest.mark.parametrize("middle", [nn.Tanh(), Apply(WrongForward.apply)], ids=["right", "wrong"])
def test_everything_is_left_as_it_was(middle: nn.Module):
    here = subject(deep(middle), steps=2)
    modules = (here.model, here.criterion)
    before = [states.of_module(m) for m in modules]
    who = [states.identities(m) for m in modules]
    optimizer, random = here.twin().optimizer.state_dict(), torch.get_rng_state()
    check_grad(here)
    assert states.same([states.of_module(m) for m in modules], before)
    assert [states.identities(m) for m in modules] == who
    assert states.same(here.optimizer.state_dict(), optimizer)
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in here.model.modules())


def test_what_is_not_a_number_differs_and_can_be_written(tmp_path):
    here = subject(deep(Apply(lambda x: (x - x.detach()).sqrt() * 0 + x)))  # an infinite slope
    report = check_grad(here)
    assert not report.holds
    document = Document(tmp_path / "report.json")
    document.add("A", report)
    document.write()
    written = json.loads((tmp_path / "report.json").read_text())
    assert written["holds"] is written["methods"]["A"]["holds"] is False
    assert written["methods"]["A"]["checks"][0]["status"] == "differs"


def test_what_real_training_cannot_tell_is_skipped():
    here = subject(deep(nn.Tanh()))
    other = Lookahead(transform=torchopt.sgd(lr=0.1))
    report = check_grad(type(here)(**{**vars(here), "lookahead": other}))
    assert statuses(report)["mixed against unroll"] == "ok"
    assert statuses(report)["mixed against real training"] == "skipped"
    assert "takes other steps than the optimizer" in " ".join(report.notes)
    for group in here.optimizer.param_groups:
        group["lr"] = 1e-16
    report = check_grad(here)
    assert statuses(report)["unroll against real training"] == "skipped"
    assert "lost in the rounding errors" in " ".join(report.notes)
