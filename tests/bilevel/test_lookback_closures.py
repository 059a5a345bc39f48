"""Lookbacks over steps whose optimizer calls a closure."""

from __future__ import annotations

import pytest
import torch
import torchopt
from torch import Tensor

from metaloss.bilevel import Lookback
from tests.bilevel.cases import OPTIMIZERS, training
from tests.bilevel.models import MODELS
from tests.helpers.hypergradients import Training, assert_near


def test_an_optimizer_of_torchopt_takes_a_closure() -> None:
    here = training(MODELS["MLP"](), OPTIMIZERS["SGD-Nesterov"])
    inputs, targets, index = batch = here.train_batches[0]
    twin = here.twin()

    def made(own: Training, *, by_closure: bool) -> dict[str, Tensor]:
        optimizer = torchopt.SGD(own.model.parameters(), lr=0.1)
        lookback = Lookback()

        def closure() -> Tensor:
            loss = own.criterion(own.model(inputs), targets, index)
            loss.backward()
            return loss

        with lookback.step(own.model, optimizer, own.criterion, batch):
            optimizer.zero_grad()
            if by_closure:
                assert optimizer.step(closure).item() > 0
            else:
                closure()
                optimizer.step()
        return lookback.hypergradient(own.meta_batch)

    assert_near(made(here, by_closure=True), made(twin, by_closure=False), 1e-12)


@pytest.mark.parametrize("optimizer", ["SGD-Nesterov", "Adam"])
@pytest.mark.parametrize("computes", [True, False], ids=["with gradients", "without"])
def test_a_closure_is_called_once_before_the_step(optimizer: str, computes: bool) -> None:
    here = training(MODELS["MLP"](), OPTIMIZERS[optimizer], steps_before=1)
    inputs, targets, index = batch = here.train_batches[0]
    twin, calls = here.twin(), []

    def computed(own: Training) -> Tensor:
        own.optimizer.zero_grad()
        loss = own.criterion(own.model(inputs), targets, index)
        loss.backward()
        return loss

    def closure() -> Tensor | None:
        calls.append(1)
        return computed(here) if computes else None

    theirs, ours = Lookback(), Lookback()
    with theirs.step(twin.model, twin.optimizer, twin.criterion, batch):
        computed(twin)
        twin.optimizer.step()
    with ours.step(here.model, here.optimizer, here.criterion, batch):
        if not computes:
            computed(here)
        found = here.optimizer.step(closure=closure)
    assert len(calls) == 1 and (found is not None) == computes
    assert_near(ours.hypergradient(here.meta_batch), theirs.hypergradient(here.meta_batch), 1e-12)
    for own, other in zip(here.model.parameters(), twin.model.parameters(), strict=True):
        assert torch.equal(own, other)
