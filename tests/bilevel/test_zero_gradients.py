"""Gradients that are exactly zero, as real networks have: dead units and black pixels."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from metaloss.bilevel import ClipNorm, ClipValue, Lookahead, Lookback
from metaloss.bilevel.optimizer.clipping import Clip
from tests.bilevel.cases import EXACT, OPTIMIZERS, training
from tests.bilevel.models import mlp
from tests.helpers.exhaustive import all_pairs
from tests.helpers.hypergradients import (
    Batch,
    Training,
    assert_is_the_hypergradient,
    assert_near,
)

ADAPTIVE = {
    "Adam": lambda p: torch.optim.Adam(p, lr=0.05),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.05),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.02, momentum=0.9),
    "RMSprop-centered": lambda p: torch.optim.RMSprop(p, lr=0.02, centered=True),
}


def blackened(batch: Batch) -> Batch:
    inputs, *rest = batch
    inputs = inputs.clone()
    inputs[:, :, :2] = 0.0
    return (inputs, *rest)


def half_dead(make, steps: int, steps_before: int) -> Training:
    """Return a training with pixels that are always black and a unit that never fires."""
    model = mlp(torch.nn.ReLU)
    with torch.no_grad():
        model[1].bias[0] = -1e3
    here = training(model, make, steps=steps)
    here.train_batches = [blackened(b) for b in here.train_batches]
    for _ in range(steps_before):
        here.step(here.train_batches[0])
    here.optimizer.zero_grad()
    return here


def first_gradient(here: Training) -> Tensor:
    twin = here.twin()
    twin.step(twin.train_batches[0])
    return twin.model[1].weight.grad


@all_pairs(
    "make, steps_before, steps, dtype, strategy",
    ADAPTIVE,
    [0, 3],
    [1, 2],
    [torch.float32, torch.float64],
    EXACT,
)
def test_no_nan(make, steps_before: int, steps: int, dtype: torch.dtype, strategy: str):
    here = half_dead(make, steps, steps_before)
    zeros = first_gradient(here) == 0
    assert zeros[0].all() and zeros[:, :12].all() and not zeros.all()
    for module in (here.model, here.criterion):
        module.to(dtype)
    for state in here.optimizer.state.values():
        state.update({k: v if k == "step" else v.to(dtype) for k, v in state.items()})
    here.train_batches = [(x.to(dtype), *rest) for x, *rest in here.train_batches]
    here.meta_batch = here.meta_batch[0].to(dtype), here.meta_batch[1]
    found = here.look_ahead(Lookahead(steps, strategy))
    for name, gradient in found.items():
        assert torch.isfinite(gradient).all(), name
    assert any(gradient.any() for gradient in found.values())


@all_pairs(
    "name, steps_before, strategy",
    ["Adam", "Adam-decay", "AdamW", "RMSprop-momentum", "RMSprop-centered"],
    [0, 3],
    EXACT,
)
def test_hypergradients_with_zero_gradients_are_right(name: str, steps_before: int, strategy: str):
    here = half_dead(OPTIMIZERS[name], 2, steps_before)
    found = here.look_ahead(Lookahead(2, strategy))
    assert_is_the_hypergradient(found, here)


class WithASpareHead(nn.Module):
    """A network with a layer that the loss does not reach."""

    def __init__(self) -> None:
        super().__init__()
        self.network, self.spare = mlp(nn.ReLU), nn.Linear(2, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.network(inputs)


@pytest.mark.parametrize("clip", [ClipNorm(0.05), ClipValue(1e-3)], ids=str)
@pytest.mark.parametrize("scale", [None, 1024.0])
def test_zeros_of_a_head_that_the_loss_does_not_reach(clip: Clip, scale: float | None) -> None:
    here = training(WithASpareHead(), OPTIMIZERS["SGD-momentum"])
    expected = here.look_ahead(Lookahead(clip=clip))
    for p in here.model.parameters():
        p.grad = torch.ones_like(p)
    scaler = torch.amp.GradScaler("cpu", init_scale=scale or 1.0, enabled=scale is not None)
    lookback, (inputs, targets, index) = Lookback(clip=clip), here.train_batches[0]
    with lookback.step(
        here.model, here.optimizer, here.criterion, (inputs, targets, index), scaler=scaler
    ):
        here.optimizer.zero_grad(set_to_none=False)
        scaler.scale(here.criterion(here.model(inputs), targets, index)).backward()
        scaler.unscale_(here.optimizer)
        clip.clip_(here.model.parameters())
        scaler.step(here.optimizer)
        scaler.update()
    assert_near(lookback.hypergradient(here.meta_batch), expected, 1e-6)
