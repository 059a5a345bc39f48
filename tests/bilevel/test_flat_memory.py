"""Thousands of meta iterations need no more memory than the first ones."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

import pytest
import torch
from torch import nn

from metaloss.bilevel import Lookahead, Lookback
from tests.bilevel.cases import OPTIMIZERS, MakeOptimizer, training
from tests.bilevel.models import CLASSES
from tests.bilevel.test_lookback import TORCHOPT
from tests.helpers.hypergradients import Training

LONG = "ITERATIONS" in os.environ  # such as 2000: all ways with all optimizers
ITERATIONS = int(os.environ.get("ITERATIONS", "60"))
FIRST = 20
MOST = 3 << 20  # bytes; one copy of the weights more at each of 60 iterations would be 4.6 MB

WAYS: dict[str, Callable[[], Lookback | Lookahead]] = {
    "lookback": Lookback,
    "lookback, activations kept": lambda: Lookback(keep=float("inf")),
    "lookback, 3 steps": lambda: Lookback(3),
    "lookback, 3 steps, unroll": lambda: Lookback(3, strategy="unroll"),
    "lookback, difference": lambda: Lookback(strategy="difference"),
    "mixed": lambda: Lookahead(2, "mixed"),
    "unroll": lambda: Lookahead(2, "unroll"),
    "difference": lambda: Lookahead(2, "difference"),
}


def wide() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 256), nn.ReLU(), nn.Linear(256, CLASSES))


def iterate(here: Training, way: Lookback | Lookahead, number: int) -> None:
    """Make meta iterations, with a step of the adjuster in each."""
    inner = way.steps
    batches = cycle(here.train_batches)
    for _ in range(number):
        window = list(islice(batches, inner))
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


def tensors() -> int:
    """Return the number of tensors that are alive."""
    gc.collect()
    return sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())


def resident() -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return 1024 * int(found.group(1))


@pytest.mark.exhaustive
@pytest.mark.timeout(0)
@pytest.mark.parametrize("optimizer", {**OPTIMIZERS, **TORCHOPT} if LONG else ["Adam"])
@pytest.mark.parametrize("name", WAYS if LONG else ["lookback", "mixed"])
def test_memory_stays_flat(name: str, optimizer: str) -> None:
    make: MakeOptimizer = {**OPTIMIZERS, **TORCHOPT}[optimizer]
    here, way = training(wide(), make, steps=3), WAYS[name]()
    iterate(here, way, FIRST)
    before, held = tensors(), resident()
    iterate(here, way, ITERATIONS)
    assert tensors() == before
    assert resident() - held < MOST
