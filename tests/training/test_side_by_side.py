"""Networks trained side by side are the networks trained one by one."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from metaloss import AdjustedLoss, Adjuster
from metaloss.bilevel import Lookahead
from metaloss.checks import InputError
from metaloss.conditioners import Margin, MovingAverage
from metaloss.losses import GCE
from metaloss.training import SideBySide
from metaloss.types import Batch

MAKERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01),
}
SAMPLES = 30


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        # No bias: its gradient before a batch normalization is rounding noise, which Adam blows up.
        nn.Conv2d(1, 4, 3, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, 3),
    ).double()


def batch(seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(7, 1, 6, 6, generator=generator, dtype=torch.float64)
    targets = torch.randint(3, (7,), generator=generator)
    return Batch(inputs, targets, torch.randperm(SAMPLES, generator=generator)[:7])


def criteria(count: int) -> list[AdjustedLoss]:
    """One adjuster, and memories of their own."""
    torch.manual_seed(9)
    adjuster = Adjuster.for_loss(GCE(), Margin(), hidden=5).double()
    found = [AdjustedLoss(GCE(), MovingAverage(Margin()), adjuster) for _ in range(count)]
    for criterion in found:
        criterion.double()
        criterion.prepare(torch.zeros(SAMPLES).long(), 3)
    return found


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
def test_as_one_by_one(make) -> None:
    apart = [network(seed) for seed in range(3)]
    together = copy.deepcopy(apart)
    optimizers = [make(model.parameters()) for model in apart]
    losses_apart, losses_together = criteria(3), criteria(3)
    stacked = SideBySide(together, make)
    for step in range(4):
        batches = [batch(10 * step + i) for i in range(3)]
        found = stacked.step(batches, losses_together)
        for i, (model, optimizer, b) in enumerate(zip(apart, optimizers, batches, strict=True)):
            outputs = model(b.inputs)
            loss = losses_apart[i](outputs, b.targets, b.index)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            assert found[i].item() == pytest.approx(loss.item(), rel=1e-10)
    for one, other in zip(apart, together, strict=True):
        for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12, msg=name)
    for one, other in zip(losses_apart, losses_together, strict=True):
        torch.testing.assert_close(one.state_dict(), other.state_dict(), rtol=1e-9, atol=1e-12)
    # And each can be looked ahead with, from the live state.
    for i in range(3):
        arguments = [batch(90 + i)], batch(95 + i)
        expected = Lookahead().hypergradient(apart[i], optimizers[i], losses_apart[i], *arguments)
        got = Lookahead().hypergradient(
            together[i], stacked.optimizer_of(i), losses_together[i], *arguments
        )
        for name, value in expected.items():
            assert value.any()
            torch.testing.assert_close(got[name], value, rtol=1e-8, atol=1e-12)


def test_settings_of_the_moment() -> None:
    stacked = SideBySide([network(0), network(1)], MAKERS["SGD"])
    stacked.optimizer.param_groups[0]["lr"] = 0.007
    assert stacked.optimizer_of(1).param_groups[0]["lr"] == 0.007


def test_bad_input() -> None:
    with pytest.raises(InputError, match="models: expected one or more"):
        SideBySide([], MAKERS["SGD"])
    with pytest.raises(InputError, match="number 1 differs"):
        SideBySide([nn.Linear(2, 3), nn.Linear(2, 4)], MAKERS["SGD"])
    stacked = SideBySide([network(0)], MAKERS["SGD"])
    with pytest.raises(InputError, match="batches: expected one for each of 1 networks, got 2"):
        stacked.step([batch(0), batch(1)], criteria(1))


def test_what_is_frozen_stays_so() -> None:
    models = [network(seed) for seed in range(2)]
    for model in models:
        model[0].requires_grad_(False)
    before = [model[0].weight.clone() for model in models]
    side = SideBySide(models, MAKERS["SGD"])
    side.step([batch(0), batch(1)], criteria(2))
    for model, weight in zip(models, before, strict=True):
        assert torch.equal(model[0].weight, weight)
    assert len(side.optimizer_of(1).param_groups[0]["params"]) == 4
    models[0].requires_grad_(True)
    with pytest.raises(InputError, match="expected networks of one architecture"):
        SideBySide(models, MAKERS["SGD"])
