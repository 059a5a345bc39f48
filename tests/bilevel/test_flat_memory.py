"""Thousands of meta iterations need no more memory than the first ones."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import cycle, islice

import pytest
import torch
from torch import nn

from metaloss.bilevel import Lookahead, Lookback
from tests.bilevel.cases import OPTIMIZERS, MakeOptimizer, training
from tests.bilevel.models import CLASSES
from tests.bilevel.test_lookback import TORCHOPT
from tests.bilevel.test_untouched import BOUND, WIDTH, growth, only_where_memory_shows
from tests.helpers.hypergradients import Training

LONG = "ITERATIONS" in os.environ  # such as 2000: each way, and each optimizer
ITERATIONS = int(os.environ.get("ITERATIONS", "200"))

WAYS: dict[str, Callable[[], Lookback | Lookahead]] = {
    "lookback": Lookback,
    "lookback, difference": lambda: Lookback(strategy="difference"),
    "lookback, activations kept": lambda: Lookback(keep=float("inf")),
    "lookback, 3 steps": lambda: Lookback(3),
    "lookback, 3 steps, unroll": lambda: Lookback(3, strategy="unroll"),
    "mixed": lambda: Lookahead(2, "mixed"),
    "unroll": lambda: Lookahead(2, "unroll"),
    "difference": lambda: Lookahead(2, "difference"),
}
ALL_OPTIMIZERS: dict[str, MakeOptimizer] = {**OPTIMIZERS, **TORCHOPT}
CASES = [
    *[(name, "Adam") for name in WAYS],
    *[("lookback", optimizer) for optimizer in ALL_OPTIMIZERS if optimizer != "Adam"],
]


def wide() -> nn.Module:
    hidden = nn.Linear(WIDTH, WIDTH)  # large enough for leaked copies to be seen
    return nn.Sequential(
        nn.Flatten(), nn.Linear(36, WIDTH), nn.ReLU(), hidden, nn.Linear(WIDTH, CLASSES)
    )


def iterate(here: Training, way: Lookback | Lookahead, window: list) -> None:
    """Make a meta iteration, with a step of the adjuster in it."""
    if isinstance(way, Lookahead):
        found = here.look_ahead(way, train_batches=window)
        here.step(window[0])
    else:
        for batch in window:
            with way.step(here.model, here.optimizer, here.criterion, batch):
                here.optimizer.zero_grad()
                here.criterion(here.model(batch[0]), *batch[1:]).backward()
                here.optimizer.step()
        found = way.hypergradient(here.meta_batch)
    with torch.no_grad():
        for name, parameter in here.criterion.adjuster.named_parameters():
            parameter.sub_(found[name], alpha=1e-4)


@pytest.mark.exhaustive
@pytest.mark.timeout(0)
@only_where_memory_shows
@pytest.mark.parametrize(("name", "optimizer"), CASES if LONG else CASES[:2])
def test_memory_stays_flat(name: str, optimizer: str) -> None:
    make = ALL_OPTIMIZERS[optimizer]
    here, way = training(wide(), make, steps=3), WAYS[name]()
    batches = cycle(here.train_batches)
    tensors, size = growth(lambda: iterate(here, way, list(islice(batches, way.steps))), ITERATIONS)
    assert tensors <= 0
    assert size < BOUND
