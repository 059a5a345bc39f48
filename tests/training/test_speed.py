"""Options for speed do not change what is trained."""

from __future__ import annotations

import copy
import platform

import pytest
import torch
from torch import nn

from metaloss import AdjustedLoss, Adjuster
from metaloss.bilevel import Lookahead
from metaloss.checks import InputError
from metaloss.conditioners import Margin
from metaloss.losses import GCE
from metaloss.machine import keep_freed_memory
from metaloss.models import resnet8
from metaloss.training import Recipe, Speed, TrainState, train
from metaloss.types import Batch
from tests.helpers.tasks import blobs


def criterion() -> AdjustedLoss:
    torch.manual_seed(2)
    return AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin(), hidden=5))


def network(dropout: float = 0.3) -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Linear(5, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(8, 3),
    )


def trained(recipe: Recipe, dtype: torch.dtype = torch.float32, dropout: float = 0.3) -> TrainState:
    task = blobs(dtype=dtype)
    state = TrainState.start(network(dropout).to(dtype), criterion().to(dtype), task, recipe)
    torch.manual_seed(7)
    state.records = train(state, task, recipe)  # type: ignore[attr-defined]
    return state


@pytest.mark.parametrize("steps", [1, 2])
def test_to_keep_activations_changes_nothing(steps: int) -> None:
    plain, kept = (
        trained(
            Recipe(
                epochs=2,
                meta_every=2,
                lookahead=Lookahead(steps),
                speed=Speed(keep_activations=keep),
            ),
            torch.float64,
        )
        for keep in (0.0, 10.0)
    )
    for a, b in zip(plain.criterion.parameters(), kept.criterion.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("strategy", ["unroll", "auto", "difference"])
def test_every_strategy_looks_back(strategy: str) -> None:
    expected, found = (
        trained(Recipe(epochs=1, meta_every=2, lookahead=Lookahead(1, s)), torch.float64)
        for s in ("mixed", strategy)
    )
    close = {"rtol": 1e-4, "atol": 1e-6} if strategy == "difference" else {"rtol": 1e-9, "atol": 0}
    for a, b in zip(expected.criterion.parameters(), found.criterion.parameters(), strict=True):
        torch.testing.assert_close(a, b, **close)


def images(channels_last: bool) -> Batch:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(8, 3, 16, 16, generator=generator)
    batch = Batch(inputs, torch.arange(8).remainder(3), torch.arange(8))
    return Speed(channels_last=channels_last).laid_out(batch)


def test_channels_last_is_how_things_lie_and_not_what_they_are() -> None:
    assert images(True).inputs.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(images(True).inputs, images(False).inputs)
    flat = Batch(torch.ones(4, 5), torch.zeros(4).long())
    assert Speed(channels_last=True).laid_out(flat) is flat
    model = resnet8(3, width=4)
    plain = copy.deepcopy(model)
    forward = Speed(channels_last=True).prepare(model)
    assert model.conv.weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(forward(images(True).inputs), plain(images(False).inputs))
    hypergradients = []
    for network_, batch in ((model, images(True)), (plain, images(False))):
        optimizer = torch.optim.SGD(network_.parameters(), lr=0.1, momentum=0.9)
        found = Lookahead().hypergradient(network_, optimizer, criterion(), [batch], batch)
        hypergradients.append(torch.cat([g.flatten() for g in found.values()]))
    torch.testing.assert_close(*hypergradients, rtol=1e-3, atol=1e-5)


def test_autocast_is_for_the_ordinary_forward_pass_alone() -> None:
    seen = []

    class Spy(nn.Linear):
        def forward(self, x):
            out = super().forward(x)
            seen.append(out.dtype)
            return out

    task = blobs()
    recipe = Recipe(epochs=1, meta_every=3, speed=Speed(autocast=True))
    assert recipe.meta_update == "after"
    state = TrainState.start(Spy(5, 3), criterion(), task, recipe)
    outputs = recipe.speed.prepare(state.model)(next(iter(task.train.epoch(0))).inputs)
    assert outputs.dtype == torch.float32
    assert seen.pop() == torch.bfloat16
    train(state, task, recipe)
    # After the first and the fourth of six steps come the clean batch and the tangents.
    half, full = torch.bfloat16, torch.float32
    assert seen[:10] == [half, full, full, half, half, half, full, full, half, half]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.exhaustive
def test_a_compiled_step_is_the_same_step() -> None:
    plain = trained(Recipe(epochs=1, meta_every=4))
    recipe = Recipe(epochs=1, meta_every=4, speed=Speed(compile="default"))
    compiled = trained(recipe)
    assert compiled.forward is not compiled.model
    assert list(compiled.model.state_dict()) == list(plain.model.state_dict())
    for a, b in zip(compiled.model.parameters(), plain.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    found, expected = (state.records[-1]["train_loss"] for state in (compiled, plain))
    assert found == pytest.approx(expected, rel=1e-4)


def test_bad_settings() -> None:
    with pytest.raises(InputError, match="compile: expected None or one of default"):
        Speed(compile="fast")


def test_glibc_is_told_to_keep_what_is_freed() -> None:
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")
