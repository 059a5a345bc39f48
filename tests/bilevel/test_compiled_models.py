"""Networks that are compiled, as a whole or in part."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from metaloss.bilevel import Lookahead, Lookback
from tests.bilevel.cases import learned
from tests.helpers.hypergradients import assert_near

pytestmark = pytest.mark.filterwarnings("ignore")


def in_place(model: nn.Sequential) -> nn.Module:
    model.compile(backend="aot_eager")
    return model


def in_part(model: nn.Sequential) -> nn.Module:
    model[0] = torch.compile(model[0], backend="aot_eager")
    return model


WAYS: dict[str, Callable[[nn.Sequential], nn.Module]] = {
    "whole": lambda model: torch.compile(model, backend="aot_eager"),
    "in place": in_place,
    "in part": in_part,
}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)).double()


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_hypergradient_is_that_of_the_network_as_it_was_written(way) -> None:
    inputs = torch.randn(8, 5, dtype=torch.float64)
    batch, meta = (inputs[:4], torch.arange(4) % 3), (inputs[4:], torch.arange(4) % 3)

    def ahead(model: nn.Module, strategy: str) -> dict[str, torch.Tensor]:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
        return Lookahead(strategy=strategy).hypergradient(
            model, optimizer, criterion, [batch], meta
        )

    criterion = learned()
    expected = ahead(network(), "unroll")
    for strategy in ("mixed", "unroll"):
        assert_near(ahead(way(network()), strategy), expected, 1e-9)
    model, lookback = way(network()), Lookback()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    with lookback.step(model, optimizer, criterion, batch):
        criterion(model(batch[0]), batch[1]).backward()
        optimizer.step()
    assert_near(lookback.hypergradient(meta), expected, 1e-9)
