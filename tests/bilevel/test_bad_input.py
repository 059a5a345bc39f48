"""Settings, optimizers and models that a lookahead cannot handle raise errors of one line."""

from __future__ import annotations

import pytest
import torch
import torchopt
from torch import nn

from metaloss import AdjustedLoss, Adjuster, InputError, OracleAdjuster, ScheduledAdjuster
from metaloss.bilevel import Lookahead
from metaloss.bilevel.lookahead import STRATEGIES
from metaloss.conditioners import Flipped, Margin, MovingAverage
from metaloss.losses import GCE, CrossEntropy
from tests.bilevel.cases import SAMPLES, batch, learned, training
from tests.bilevel.models import CLASSES, mlp
from tests.helpers.hypergradients import assert_is_the_hypergradient

pytestmark = pytest.mark.bad_input

every_strategy = pytest.mark.parametrize("strategy", list(STRATEGIES))


def refused(action, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    for word in ("expected", *words):
        assert word in message, message


@pytest.mark.parametrize("steps", [0, -1, 1.0, 2.5, True, "1", None])
def test_steps(steps):
    refused(lambda: Lookahead(steps=steps), "steps", "at least 1", repr(steps))


@pytest.mark.parametrize("strategy", ["rolled", "", "Unroll", None])
def test_an_unknown_strategy(strategy):
    refused(lambda: Lookahead(strategy=strategy), "strategy", *STRATEGIES, repr(strategy))


def test_settings_cannot_be_changed_afterwards():
    with pytest.raises(AttributeError):
        Lookahead().steps = 2


@every_strategy
@pytest.mark.parametrize("given", [0, 1, 3])
def test_another_number_of_batches(given: int, strategy: str):
    here = training(steps=given)
    refused(
        lambda: here.look_ahead(Lookahead(2, strategy)), "train_batches", "2 steps", f"got {given}"
    )


class Other(torch.optim.SGD):
    """A subclass, which may change the step."""

    def step(self, closure=None):
        return super().step(closure)


@every_strategy
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (torch.optim.LBFGS, "LBFGS"),
        (torch.optim.Adagrad, "Adagrad"),
        (torch.optim.NAdam, "NAdam"),
        (lambda p: Other(p, lr=0.1), "Other"),
    ],
    ids=["LBFGS", "Adagrad", "NAdam", "subclass"],
)
def test_an_unknown_optimizer(make, name: str, strategy: str):
    here = training(make_optimizer=make)
    refused(
        lambda: here.look_ahead(Lookahead(strategy=strategy)),
        "optimizer",
        "SGD, Adam, AdamW, RMSprop",
        name,
        "Lookahead(transform=...)",
    )


@every_strategy
@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
def test_amsgrad(kind, strategy: str):
    here = training(make_optimizer=lambda p: kind(p, amsgrad=True))
    refused(lambda: here.look_ahead(Lookahead(strategy=strategy)), "amsgrad")


@every_strategy
@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.SGD(p, lr=0.1),
        lambda p: torch.optim.Adam([{"params": [p[0]]}, {"params": p[1:]}]),
        lambda p: torchopt.SGD(p, lr=0.1),
    ],
    ids=["SGD", "groups", "torchopt"],
)
def test_a_parameter_that_the_optimizer_does_not_hold(make, strategy: str):
    model = mlp()
    here = training(model, lambda p: make([q for q in model.parameters() if q.ndim == 2]))
    refused(
        lambda: here.look_ahead(Lookahead(strategy=strategy)),
        "optimizer",
        "1.bias, 3.bias",
        "requires_grad_(False)",
    )


@every_strategy
def test_an_optimizer_of_another_model(strategy: str):
    here = training()
    here.optimizer = torch.optim.SGD(mlp().parameters(), lr=0.1)
    refused(lambda: here.look_ahead(Lookahead(strategy=strategy)), "optimizer", "1.weight")
    here.optimizer = torchopt.SGD(list(mlp().parameters()), lr=0.1)
    refused(lambda: here.look_ahead(Lookahead(strategy=strategy)), "torchopt.Optimizer")


@every_strategy
def test_a_model_without_anything_to_train(strategy: str):
    here = training()
    here.model.requires_grad_(False)
    refused(lambda: here.look_ahead(Lookahead(strategy=strategy)), "model", "trainable")


@every_strategy
@pytest.mark.parametrize(
    ("criterion", "name"),
    [
        (AdjustedLoss.fixed(GCE()), "ConstantAdjuster"),
        (AdjustedLoss.fixed(CrossEntropy()), "ConstantAdjuster"),
        (
            AdjustedLoss(
                GCE(),
                Flipped(torch.zeros(SAMPLES).bool()),
                OracleAdjuster(GCE().hyperparameters),
            ),
            "OracleAdjuster",
        ),
        (
            AdjustedLoss(GCE(), Margin(), ScheduledAdjuster([Adjuster.for_loss(GCE(), Margin())])),
            "ScheduledAdjuster",
        ),
    ],
    ids=["fixed", "none", "oracle", "scheduled"],
)
def test_an_adjuster_with_nothing_to_learn(criterion: AdjustedLoss, name: str, strategy: str):
    here = training()
    here.criterion = criterion.double()
    refused(lambda: here.look_ahead(Lookahead(strategy=strategy)), "criterion", name)


@every_strategy
def test_an_adjuster_that_is_frozen(strategy: str):
    here = training()
    here.criterion.adjuster.requires_grad_(False)
    refused(lambda: here.look_ahead(Lookahead(strategy=strategy)), "criterion", "Adjuster")


@every_strategy
def test_samples_without_ids(strategy: str):
    criterion = learned(conditioner=MovingAverage(Margin()))
    criterion.prepare(torch.zeros(SAMPLES).long(), CLASSES)
    here = training(criterion=criterion)
    here.train_batches = [batch(0)[:2]]
    with pytest.raises(InputError, match=r"addresses samples by their ids"):
        here.look_ahead(Lookahead(strategy=strategy))


@every_strategy
def test_outputs_that_are_no_logits(strategy: str):
    here = training(nn.Sequential(mlp(), nn.Unflatten(1, (CLASSES, 1))))
    refused(lambda: here.look_ahead(Lookahead(strategy=strategy)), "outputs", "[10, 3, 1]")


class WithoutTangents(torch.autograd.Function):
    """A custom operator with a backward rule only."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.tanh()

    @staticmethod
    def backward(ctx, slope):
        (x,) = ctx.saved_tensors
        return slope * (1 - x.tanh().square())


class OfOnesOwn(nn.Module):
    def forward(self, x):
        return WithoutTangents.apply(x)


@pytest.mark.parametrize("steps", [1, 2])
def test_an_operator_that_forward_mode_does_not_know(steps: int):
    here = training(nn.Sequential(mlp(), OfOnesOwn()), steps=steps)
    with pytest.raises(InputError, match=r"forward-mode .* strategy='unroll'"):
        here.look_ahead(Lookahead(steps, "mixed"))
    assert_is_the_hypergradient(here.look_ahead(Lookahead(steps, "unroll")), here)
