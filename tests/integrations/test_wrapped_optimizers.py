"""Optimizers wrapped by other libraries: the message names the one to pass."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from metaloss import AdjustedLoss, Adjuster, InputError
from metaloss.bilevel import Lookahead
from metaloss.conditioners import Margin
from metaloss.losses import GCE

pytestmark = [pytest.mark.bad_input, pytest.mark.filterwarnings("ignore")]


def by_lightning(optimizer: torch.optim.Optimizer) -> Any:
    core = pytest.importorskip("lightning.pytorch.core.optimizer")
    return core.LightningOptimizer(optimizer)


def by_accelerate(optimizer: torch.optim.Optimizer) -> Any:
    accelerate = pytest.importorskip("accelerate")
    return accelerate.Accelerator(cpu=True).prepare(optimizer)


@pytest.mark.parametrize("wrapped", [by_lightning, by_accelerate])
def test_the_one_inside_is_asked_for_and_taken(wrapped) -> None:
    model = nn.Linear(4, 3)
    criterion = AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin()))
    optimizer = wrapped(torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))
    batch = torch.randn(6, 4), torch.arange(6) % 3
    with pytest.raises(InputError, match=r"expected torch.optim's .*; pass .* its \.optimizer$"):
        Lookahead().hypergradient(model, optimizer, criterion, [batch], batch)
    assert Lookahead().hypergradient(model, optimizer.optimizer, criterion, [batch], batch)


def test_one_that_wraps_none_is_told_of_transformations() -> None:
    model = nn.Linear(4, 3)
    criterion = AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin()))
    batch = torch.randn(6, 4), torch.arange(6) % 3
    with pytest.raises(InputError, match=r"got torch.optim.*Adagrad; pass Lookahead\(transform="):
        Lookahead().hypergradient(
            model, torch.optim.Adagrad(model.parameters()), criterion, [batch], batch
        )
