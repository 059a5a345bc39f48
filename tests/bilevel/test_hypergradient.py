"""The hypergradient, compared with the slopes of real training runs in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metaloss import InputError
from metaloss.bilevel import Lookahead
from tests.bilevel.cases import EXACT, OPTIMIZERS, batch, learned, training
from tests.bilevel.models import CLASSES, MODELS, Centred, mlp
from tests.helpers.exhaustive import all_pairs, mostly_exhaustive
from tests.helpers.hypergradients import (
    assert_is_the_hypergradient,
    features_on_the_way,
    loss_after_training,
)

exactly = pytest.mark.parametrize("strategy", EXACT)


# Every optimizer, fresh and in the middle of training


@all_pairs("make, steps_before, steps, strategy", OPTIMIZERS, [0, 3], [1, 3], EXACT)
def test_through_every_optimizer(make, steps_before: int, steps: int, strategy: str):
    here = training(make_optimizer=make, steps=steps, steps_before=steps_before)
    found = here.look_ahead(Lookahead(steps, strategy))
    assert_is_the_hypergradient(found, here)


@exactly
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("name", ["SGD-Nesterov", "Adam", "RMSprop-centered"])
def test_with_the_features_held_fixed(name: str, steps: int, strategy: str):
    """They stay the same although the weights move; in one step, the paper's setting, none do."""
    criterion = learned(detach=True)
    here = training(
        make_optimizer=OPTIMIZERS[name], criterion=criterion, steps=steps, steps_before=2
    )
    found = here.look_ahead(Lookahead(steps, strategy))
    features = None if steps == 1 else features_on_the_way(here)
    assert_is_the_hypergradient(found, here, features=features)


@exactly
@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.Adam(p, lr=0.01),
        lambda p: torch.optim.AdamW(p, lr=0.01),
        lambda p: torch.optim.RMSprop(p, lr=0.01, centered=True, momentum=0.9),
    ],
    ids=["Adam", "AdamW", "RMSprop"],
)
def test_the_default_eps_in_the_middle_of_training(make, strategy: str):
    here = training(make_optimizer=make, steps=2, steps_before=5)
    found = here.look_ahead(Lookahead(2, strategy))
    assert_is_the_hypergradient(found, here)


class Reassigned(Centred):
    """As before, but the forward pass puts a new tensor in the place of the buffer."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.centre = 0.5 * self.centre + x.mean(0)
        return self.body(x - self.centre)


@exactly
def test_buffers_that_the_forward_pass_assigns(strategy: str):
    here = training(Reassigned(), steps=3)
    assert_is_the_hypergradient(here.look_ahead(Lookahead(3, strategy)), here)


@exactly
@pytest.mark.parametrize("steps_before", [0, 2])
def test_each_group_of_parameters_has_its_own_settings(steps_before: int, strategy: str):
    model = mlp()

    def make(parameters):
        weights = [p for p in model.parameters() if p.ndim > 1]
        biases = [p for p in model.parameters() if p.ndim == 1]
        groups = [
            {"params": weights[:1], "lr": 0.4, "weight_decay": 0.2},
            {"params": biases, "lr": 0.05, "momentum": 0.0},
            {"params": weights[1:], "nesterov": True},
        ]
        return torch.optim.SGD(groups, lr=0.1, momentum=0.9)

    here = training(model, make, steps=2, steps_before=steps_before)
    found = here.look_ahead(Lookahead(2, strategy))
    assert_is_the_hypergradient(found, here)


@exactly
def test_the_current_learning_rate_is_used(strategy: str):
    here = training(make_optimizer=OPTIMIZERS["SGD-momentum"])
    schedule = torch.optim.lr_scheduler.StepLR(here.optimizer, step_size=1, gamma=0.1)
    before = here.look_ahead(Lookahead(strategy=strategy))
    here.step(batch(100))
    schedule.step()
    assert here.optimizer.param_groups[0]["lr"] == pytest.approx(0.02)
    here.optimizer.param_groups[0]["weight_decay"] = 0.3
    after = here.look_ahead(Lookahead(strategy=strategy))
    assert_is_the_hypergradient(after, here)
    lengths = [sum(g.square().sum() for g in found.values()) ** 0.5 for found in (before, after)]
    assert lengths[1] < 0.5 * lengths[0]


# Every kind of model


@all_pairs(
    "build, steps, strategy",
    mostly_exhaustive(MODELS, "CNN-BatchNorm", "attention", "tied", "frozen"),
    [1, 3],
    EXACT,
)
def test_through_every_model(build, steps: int, strategy: str):
    here = training(build(), OPTIMIZERS["SGD-Nesterov"], steps=steps, steps_before=2)
    found = here.look_ahead(Lookahead(steps, strategy))
    assert_is_the_hypergradient(found, here)


class WithSpare(nn.Module):
    """A network with a part for clean samples only, which no training loss reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.spare = mlp(), nn.Linear(CLASSES, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        outputs = self.body(x)
        return torch.tanh(self.spare(outputs)) * 3 if len(x) == 8 else outputs


@all_pairs("name, steps, strategy", ["SGD-Nesterov", "AdamW", "RMSprop-momentum"], [1, 3], EXACT)
def test_a_parameter_that_the_loss_does_not_reach_stays_put(name: str, steps: int, strategy: str):
    """``torch.optim`` skips it, weight decay and momentum included."""
    here = training(WithSpare(), OPTIMIZERS[name], steps=steps, steps_before=2)
    here.meta_batch = batch(50, size=8)[:2]
    lookahead = Lookahead(steps, strategy)
    assert_is_the_hypergradient(here.look_ahead(lookahead), here)
    # It has an optimizer state from earlier steps, which must not be used.
    here.step(batch(60, size=8))
    here.optimizer.zero_grad()
    found = lookahead.solve(
        here.model, here.optimizer, here.criterion, here.train_batches, here.meta_batch
    )
    assert found.meta_loss.item() == pytest.approx(loss_after_training(here), rel=1e-12)
    assert_is_the_hypergradient(found.hypergradient, here)


class WithTwoWays(nn.Module):
    """A network that chooses one of two parts for each batch, like a mixture of experts."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.even, self.odd = mlp(), nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        outputs = self.body(x)
        return outputs + torch.tanh(self.even(outputs) if len(x) % 2 == 0 else self.odd(outputs))


@exactly
def test_steps_that_reach_different_parameters_are_right_or_refused(strategy: str):
    here = training(WithTwoWays(), OPTIMIZERS["SGD-Nesterov"], steps=2)
    for sizes in ((10, 9), (9, 10)):
        here.train_batches = [batch(k, size) for k, size in enumerate(sizes)]
        try:
            found = here.look_ahead(Lookahead(2, strategy))
        except InputError as error:
            assert "parameters" in str(error)
        else:
            assert_is_the_hypergradient(found, here)


# The meta loss


@all_pairs("name, steps, strategy", ["MLP", "MLP-dropout", "CNN-BatchNorm"], [1, 3], EXACT)
def test_the_meta_loss_is_that_after_the_real_steps(name: str, steps: int, strategy: str):
    here = training(MODELS[name](), OPTIMIZERS["Adam"], steps=steps, steps_before=1)
    found = Lookahead(steps, strategy).solve(
        here.model, here.optimizer, here.criterion, here.train_batches, here.meta_batch
    )
    assert found.meta_loss.shape == ()
    assert found.meta_loss.item() == pytest.approx(loss_after_training(here), rel=1e-12)


@exactly
def test_another_meta_loss(strategy: str):
    def squared(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.softmax(1) - F.one_hot(targets, CLASSES)).square().sum(1).mean()

    here = training(steps=2)
    found = here.look_ahead(Lookahead(2, strategy, meta_loss=squared))
    assert_is_the_hypergradient(found, here, meta_loss=squared)
