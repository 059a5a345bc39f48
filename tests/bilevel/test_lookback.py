"""The hypergradient of completed steps, compared with lookaheads and with real training."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torchopt
from torch import nn

from metaloss.bilevel import ClipNorm, ClipValue, Lookahead, Lookback
from metaloss.conditioners import Concat, Margin, MovingAverage, RunningMean
from tests.bilevel.cases import OPTIMIZERS, SAMPLES, learned, training
from tests.bilevel.models import CLASSES, MODELS, mlp
from tests.bilevel.test_rules import Applied, Square
from tests.helpers import states
from tests.helpers.exhaustive import all_pairs, mostly_exhaustive
from tests.helpers.hypergradients import (
    Training,
    assert_is_the_hypergradient,
    assert_near,
    in_single,
)

TORCHOPT: dict[str, Callable] = {
    "torchopt.SGD": lambda p: torchopt.SGD(list(p), lr=0.2, momentum=0.9, nesterov=True),
    "torchopt.Adam": lambda p: torchopt.Adam(list(p), lr=0.05, eps=1e-2, eps_root=1e-8),
}
FEW = ("MLP-dropout", "CNN-BatchNorm", "LSTM", "tied")

detached = pytest.mark.parametrize("detach", [True, False], ids=["detached", "attached"])


def remembering(detach: bool):
    """Return a criterion that depends on the batches it has observed."""
    conditioner = Concat([MovingAverage(Margin()), RunningMean(Margin())])
    criterion = learned(conditioner=conditioner, detach=detach)
    criterion.prepare(torch.arange(SAMPLES) % CLASSES, CLASSES)
    return criterion


def made(here: Training, lookback: Lookback) -> dict[str, torch.Tensor]:
    """Take real steps as a training loop does, and return their hypergradient."""
    for batch in here.train_batches:
        inputs, targets, index = batch
        with lookback.step(here.model, here.optimizer, here.criterion, batch):
            loss = here.criterion(here.model(inputs), targets, index)
            here.optimizer.zero_grad()
            loss.backward()
            if here.clip_norm is not None:
                nn.utils.clip_grad_norm_(here.model.parameters(), here.clip_norm)
            if here.clip_value is not None:
                nn.utils.clip_grad_value_(here.model.parameters(), here.clip_value)
            here.optimizer.step()
            here.optimizer.zero_grad()
    return lookback.hypergradient(here.meta_batch)


@all_pairs(
    "optimizer, name, steps_before",
    ["SGD-Nesterov", "Adam-decay", "RMSprop-centered"],
    mostly_exhaustive(MODELS.keys(), *FEW),
    [0, 2],
)
def test_of_one_step_it_is_the_lookaheads(optimizer: str, name: str, steps_before: int) -> None:
    here = training(MODELS[name](), OPTIMIZERS[optimizer], steps_before=steps_before)
    expected = here.look_ahead(Lookahead(strategy="unroll"))
    assert_near(made(here, Lookback()), expected, 1e-9)


@pytest.mark.parametrize("name", {**OPTIMIZERS, **TORCHOPT})
def test_for_every_optimizer(name: str) -> None:
    here = training(make_optimizer={**OPTIMIZERS, **TORCHOPT}[name], steps_before=2)
    expected = here.look_ahead(Lookahead(strategy="unroll"))
    assert_near(made(here, Lookback()), expected, 1e-9)


@pytest.mark.parametrize("name", ["SGD-Nesterov", "Adam-decay", "RMSprop-maximize"])
def test_large_tensors_are_stepped_one_by_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here = training(make_optimizer=OPTIMIZERS[name], steps=2, steps_before=2)
    expected = made(here.twin(), Lookback(2))
    monkeypatch.setattr("metaloss.bilevel.optimizer.functional._SMALL", 0)
    assert_near(made(here, Lookback(2)), expected, 1e-12)


@all_pairs(
    "name, optimizer, strategy",
    ["MLP-dropout", "CNN-BatchNorm", "centred", "tied"],
    ["SGD-Nesterov", "Adam-decay"],
    ["mixed", "unroll", "difference"],
)
def test_of_several_steps_against_real_training(name: str, optimizer: str, strategy: str) -> None:
    here = training(MODELS[name](), OPTIMIZERS[optimizer], steps=3, steps_before=1)
    start, state = here.twin(), torch.get_rng_state()
    found = made(here, Lookback(3, strategy=strategy))
    torch.set_rng_state(state)
    assert_is_the_hypergradient(found, start, rtol=1e-4 if strategy == "difference" else 1e-6)


@detached
def test_the_conditioners_memory_at_the_step(detach: bool) -> None:
    here = training(criterion=remembering(detach))
    for batch in here.train_batches:  # gives the conditioner something to remember
        here.criterion.observe(here.model(batch[0]), *batch[1:])
    expected = here.look_ahead(Lookahead(strategy="unroll"))
    before = states.of_module(here.criterion.conditioner)
    found = made(here, Lookback())
    assert not states.same(states.of_module(here.criterion.conditioner), before)
    assert_near(found, expected, 1e-9)


@pytest.mark.parametrize("hold_norm", [0.9, 1.0])
def test_with_the_length_held(hold_norm: float) -> None:
    here = training(make_optimizer=OPTIMIZERS["SGD-momentum"], steps_before=1)
    expected = here.look_ahead(Lookahead(strategy="unroll", hold_norm=hold_norm))
    assert_near(made(here, Lookback(hold_norm=hold_norm)), expected, 1e-9)


@pytest.mark.parametrize(
    ("clip", "setting"),
    [(ClipNorm(0.1), {"clip_norm": 0.1}), (ClipValue(0.01), {"clip_value": 0.01})],
    ids=["norm", "value"],
)
def test_of_a_step_that_clips(clip, setting: dict) -> None:
    here = training(make_optimizer=OPTIMIZERS["SGD-momentum"], steps_before=1)
    here.__dict__.update(setting)
    expected = here.look_ahead(Lookahead(strategy="unroll", clip=clip))
    assert_near(made(here, Lookback(clip=clip)), expected, 1e-9)


@pytest.mark.parametrize("strategy", ["unroll", "difference", "auto"])
def test_by_every_strategy(strategy: str) -> None:
    here = training(MODELS["MLP-dropout"](), OPTIMIZERS["SGD-Nesterov"], steps_before=1)
    expected = here.look_ahead(Lookahead(strategy="unroll"))
    found = made(here, Lookback(strategy=strategy))
    assert_near(found, expected, 1e-5 if strategy == "difference" else 1e-9)


def test_auto_falls_back_where_forward_mode_has_no_rule() -> None:
    here = training(nn.Sequential(mlp(), Applied(Square.apply)))
    expected = here.look_ahead(Lookahead(strategy="unroll"))
    with pytest.warns(RuntimeWarning, match="falling back to 'unroll'"):
        found = made(here, Lookback(strategy="auto"))
    assert_near(found, expected, 1e-9)


def test_in_single_precision() -> None:
    here = in_single(training(MODELS["CNN-BatchNorm"](), OPTIMIZERS["SGD-Nesterov"]))
    expected = here.look_ahead(Lookahead(strategy="unroll"))
    assert_near(made(here, Lookback()), expected, 1e-4)


def test_the_real_steps_are_left_alone() -> None:
    ends = []
    for watched in (False, True):
        torch.manual_seed(7)
        here = training(MODELS["MLP-dropout"](), OPTIMIZERS["Adam"], steps=4)
        lookback = Lookback()
        for inputs, targets, index in here.train_batches:
            with lookback.step(
                here.model, here.optimizer, here.criterion, (inputs, targets, index), due=watched
            ):
                here.optimizer.zero_grad()
                here.criterion(here.model(inputs), targets, index).backward()
                here.optimizer.step()
            if watched:
                lookback.hypergradient(here.meta_batch)
        ends.append((states.of_module(here.model), torch.get_rng_state()))
    assert states.same(*ends)


def test_nothing_is_left_attached() -> None:
    here = training(make_optimizer=TORCHOPT["torchopt.SGD"])
    made(here, Lookback())
    assert "step" not in vars(here.optimizer)
    here = training()
    made(here, Lookback())
    assert not here.optimizer._optimizer_step_pre_hooks
    assert not any(p._post_accumulate_grad_hooks for p in here.model.parameters())
