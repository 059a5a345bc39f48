"""A model that holds its criterion, as a LightningModule does, is looked back through as any."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from metaloss import AdjustedLoss
from metaloss.bilevel import Lookback
from tests.bilevel.cases import OPTIMIZERS, training
from tests.bilevel.test_lookback import made, remembering
from tests.helpers.hypergradients import assert_near


class Holding(nn.Module):
    """A network and its criterion."""

    def __init__(self, network: nn.Module, criterion: AdjustedLoss) -> None:
        super().__init__()
        self.network, self.criterion = network, criterion

    def forward(self, inputs: Tensor) -> Tensor:
        return self.network(inputs)


def of_network_and_of_holder(steps: int, strategy: str) -> list[dict]:
    found = []
    for holds in (False, True):
        torch.manual_seed(3)
        here = training(criterion=remembering(detach=True), steps=steps)
        if holds:
            here.model = Holding(here.model, here.criterion)
        here.optimizer = OPTIMIZERS["Adam"](getattr(here.model, "network", here.model).parameters())
        found.append(made(here, Lookback(steps, strategy=strategy)))
    return found


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("strategy", ["mixed", "unroll", "difference"])
def test_it_is_the_networks(steps: int, strategy: str) -> None:
    of_network, of_holder = of_network_and_of_holder(steps, strategy)
    assert_near(of_holder, of_network, rtol=1e-8)


def test_the_adjuster_may_be_updated_between_the_steps() -> None:
    torch.manual_seed(3)
    here = training(criterion=remembering(detach=True), steps=2)
    here.model, lookback = Holding(here.model, here.criterion), Lookback(2)
    meta_optimizer = torch.optim.SGD(here.criterion.parameters(), lr=0.1)
    for inputs, targets, index in here.train_batches:
        with lookback.step(here.model, here.optimizer, here.criterion, (inputs, targets, index)):
            here.optimizer.zero_grad()
            here.criterion(here.model(inputs), targets, index).backward()
            here.optimizer.step()
        meta_optimizer.step()
        meta_optimizer.zero_grad()
    assert lookback.watched == 2
