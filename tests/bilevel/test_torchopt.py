"""Lookaheads with TorchOpt's optimizers and with custom gradient transformations."""

from __future__ import annotations

import pytest
import torch
import torchopt
from torch import nn
from torchopt.base import GradientTransformation

from metaloss.bilevel import Lookahead
from metaloss.bilevel.optimizer.transforms import heavy_ball, root_mean_square
from tests.bilevel.cases import EXACT, batch, training
from tests.bilevel.models import MODELS, mlp
from tests.helpers.exhaustive import all_pairs
from tests.helpers.hypergradients import assert_is_the_hypergradient


def clipped(max_norm: float) -> GradientTransformation:
    """Return custom clipping that differentiates the norm; TorchOpt's holds the norm fixed."""

    def update(updates, state, *, params=None, inplace=True):
        norm = torch.stack([u.square().sum() for u in updates]).sum().sqrt()
        return tuple(u * (max_norm / norm).clamp(max=1.0) for u in updates), state

    return GradientTransformation(lambda params: (), update)


exactly = pytest.mark.parametrize("strategy", EXACT)

LIVE = {
    "SGD": lambda p: torchopt.SGD(list(p), lr=0.3),
    "SGD-momentum": lambda p: torchopt.SGD(
        list(p), lr=0.2, momentum=0.9, nesterov=True, weight_decay=0.1
    ),
    "Adam": lambda p: torchopt.Adam(list(p), lr=0.05, eps=1e-2, eps_root=1e-12),
    "AdamW": lambda p: torchopt.AdamW(list(p), lr=0.05, eps=1e-2, eps_root=1e-12, weight_decay=0.2),
    "one's own": lambda p: torchopt.Optimizer(
        list(p),
        torchopt.chain(clipped(0.2), torchopt.sgd(lr=0.5, momentum=0.9)),
    ),
    "of ours": lambda p: torchopt.Optimizer(
        list(p),
        torchopt.chain(root_mean_square(eps=1e-2), heavy_ball(0.9), torchopt.sgd(lr=0.02)),
    ),
}

TRANSFORMS = {
    "clipped": lambda: torchopt.chain(clipped(0.05), torchopt.sgd(lr=1.0)),
    "not clipped": lambda: torchopt.chain(torchopt.clip.clip_grad_norm(1e3), torchopt.sgd(lr=0.3)),
    "scheduled": lambda: torchopt.sgd(
        lr=torchopt.schedule.exponential_decay(0.5, 1, 0.5), momentum=0.9
    ),
    "decayed": lambda: torchopt.chain(
        clipped(0.1), torchopt.adamw(lr=0.05, eps=1e-2, eps_root=1e-12)
    ),
    "of ours": lambda: torchopt.chain(
        clipped(0.1), heavy_ball(0.9, nesterov=True), torchopt.sgd(lr=0.5)
    ),
}


@all_pairs("make, steps_before, steps, strategy", LIVE, [0, 2], [1, 3], EXACT)
def test_through_a_live_torchopt_optimizer(make, steps_before: int, steps: int, strategy: str):
    here = training(make_optimizer=make, steps=steps, steps_before=steps_before)
    found = here.look_ahead(Lookahead(steps, strategy))
    assert_is_the_hypergradient(found, here)


@exactly
def test_through_groups_of_a_live_torchopt_optimizer(strategy: str):
    model = mlp()

    def make(parameters):
        first, *rest = model.parameters()
        optimizer = torchopt.SGD([first], lr=0.2, momentum=0.9)
        optimizer.add_param_group(rest)
        return optimizer

    here = training(model, make, steps=2, steps_before=1)
    assert_is_the_hypergradient(here.look_ahead(Lookahead(2, strategy)), here)


@all_pairs("name, steps, strategy", list(TRANSFORMS), [1, 3], EXACT)
def test_through_a_custom_transformation(name: str, steps: int, strategy: str):
    """Its state is fresh; the live optimizer does not matter, and may be unsupported."""
    transform = TRANSFORMS[name]()
    here = training(
        MODELS["CNN-BatchNorm"](),
        lambda p: torchopt.Optimizer(list(p), TRANSFORMS[name]()),
        steps=steps,
    )
    unknown = torch.optim.Adagrad(here.model.parameters(), lr=7.0)
    lookahead = Lookahead(steps, strategy, transform=transform)
    found = here.look_ahead(lookahead, optimizer=unknown)
    assert_is_the_hypergradient(found, here)
    again = here.look_ahead(lookahead, optimizer=unknown)
    assert all(torch.equal(found[key], again[key]) for key in found)


@exactly
def test_a_transformation_steps_only_what_the_loss_reaches(strategy: str):
    class WithSpare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.spare = mlp(), nn.Linear(3, 3)

        def forward(self, x):
            outputs = self.body(x)
            return torch.tanh(self.spare(outputs)) * 3 if len(x) == 8 else outputs

    transform = torchopt.sgd(lr=0.3, weight_decay=0.5)
    here = training(WithSpare(), steps=2)
    here.meta_batch = batch(50, size=8)[:2]
    reached = list(here.model.body.parameters())
    here.optimizer = torchopt.Optimizer(reached, transform)
    optimizer = torch.optim.SGD(here.model.parameters(), lr=7.0)
    found = here.look_ahead(Lookahead(2, strategy, transform=transform), optimizer=optimizer)
    assert_is_the_hypergradient(found, here)


@exactly
def test_torchopts_own_clipping_holds_the_norm_fixed(strategy: str):
    """It acts like a smaller learning rate."""
    here = training(make_optimizer=lambda p: torch.optim.SGD(p, lr=1.0))
    twin = here.twin()
    twin.step(twin.train_batches[0])
    norm = sum(p.grad.square().sum().item() for p in twin.model.parameters()) ** 0.5
    assert norm > 0.1
    transform = torchopt.chain(torchopt.clip.clip_grad_norm(0.1), torchopt.sgd(lr=1.0))
    found = here.look_ahead(Lookahead(strategy=strategy, transform=transform))
    here.optimizer.param_groups[0]["lr"] = 0.1 / (norm + 1e-6)
    assert_is_the_hypergradient(found, here)
