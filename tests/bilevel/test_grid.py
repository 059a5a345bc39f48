"""The default strategy over a grid of models and optimizers, compared with ``unroll``."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from metaloss.bilevel import Lookahead
from tests.bilevel.cases import OPTIMIZERS, learned, training
from tests.bilevel.models import GRID, LARGE, MODELS, Recurrent
from tests.helpers.exhaustive import mostly_exhaustive
from tests.helpers.hypergradients import Training, assert_near, in_single

FEW = ("CNN-BatchNorm", "attention", "LSTM", "norms", "resnet8")
DOUBLE, SINGLE = 1e-9, 1e-3
"""The largest error relative to the length of the reference, in float64 and in float32."""


def assert_as_by_the_textbook(here: Training, rtol: float) -> None:
    steps = len(here.train_batches)
    expected = here.look_ahead(Lookahead(steps, "unroll"))
    assert_near(here.look_ahead(Lookahead(steps)), expected, rtol)


@pytest.mark.parametrize(
    ("optimizer", "steps"),
    [
        *[("SGD-Nesterov", 1), ("Adam-decay", 2), ("SGD-Nesterov", 5), ("RMSprop-momentum", 2)],
        pytest.param("Adam-decay", 5, marks=pytest.mark.exhaustive),
    ],
)
@pytest.mark.parametrize("build", mostly_exhaustive(GRID, *FEW))
def test_every_model_by_every_optimizer_in_float64(build, steps: int, optimizer: str):
    criterion = learned(detach=steps == 5)
    here = training(build(), OPTIMIZERS[optimizer], criterion, steps, steps_before=1)
    assert_as_by_the_textbook(here, DOUBLE)


@pytest.mark.exhaustive
@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("build", GRID.values(), ids=GRID.keys())
def test_every_model_in_float32(build, steps: int):
    here = training(build(), OPTIMIZERS["SGD-Nesterov"], steps=steps, steps_before=1)
    assert_as_by_the_textbook(in_single(here), SINGLE)


@pytest.mark.parametrize("strategy", ["mixed", "unroll", "difference"])
@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN], ids=lambda layer: layer.__name__)
def test_recurrent_layers_in_float32(layer, strategy: str):
    """Their fastest kernels, which torch uses in float32, have no tangents."""

    def here() -> Training:
        torch.manual_seed(0)
        return training(Recurrent(layer), steps_before=1)

    enabled = torch.backends.mkldnn.enabled
    found = in_single(here()).look_ahead(Lookahead(strategy=strategy))
    assert torch.backends.mkldnn.enabled == enabled
    expected = here().look_ahead(Lookahead(strategy="unroll"))
    assert_near({name: g.double() for name, g in found.items()}, expected, SINGLE)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("build", mostly_exhaustive(LARGE, "preact"))
def test_large_networks(build, steps: int, single: bool):
    here = training(build(), OPTIMIZERS["SGD-Nesterov"], steps=steps)
    assert_as_by_the_textbook(in_single(here) if single else here, SINGLE if single else DOUBLE)


@pytest.mark.exhaustive
@pytest.mark.parametrize("optimizer", ["Adam-decay", "RMSprop-momentum"])
@pytest.mark.parametrize("name", ["MLP", "CNN-BatchNorm", "transformer", "resnet8"])
def test_optimizers_that_divide_in_float32(name: str, optimizer: str):
    here = training(GRID[name](), OPTIMIZERS[optimizer], steps=2, steps_before=2)
    assert_as_by_the_textbook(in_single(here), SINGLE)


@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_groups_with_settings_of_their_own(kind, steps: int):
    model = MODELS["CNN-BatchNorm"]()
    groups = [
        {"params": model[0].parameters(), "lr": 0.1, "weight_decay": 0.2},
        {"params": model[1].parameters(), "lr": 0.03},
        {"params": [model[5].weight], "weight_decay": 0.0},
    ]  # the last bias is in none of them

    def make(_: object) -> torch.optim.Optimizer:
        model[5].bias.requires_grad_(False)
        named = {"momentum": 0.9} if kind is torch.optim.SGD else {"eps": 1e-2}
        return kind(groups, lr=0.05, **named)

    assert_as_by_the_textbook(training(model, make, steps=steps, steps_before=2), DOUBLE)
