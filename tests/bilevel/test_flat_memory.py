"""Thousands of meta iterations need no more memory than the first ones."""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from metaloss.bilevel import Lookahead, Lookback
from tests.bilevel.cases import OPTIMIZERS, MakeOptimizer, training
from tests.bilevel.models import CLASSES
from tests.bilevel.test_lookback import TORCHOPT
from tests.helpers.hypergradients import Training

pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.timeout(0),
    pytest.mark.skipif(
        not Path("/proc/self/statm").exists(), reason="the size of the process cannot be read here"
    ),
]

WIDTH = 160  # of a layer of 200 kB in float64, so that 200 leaked copies are seen
BOUND = 16 * 2**20
LONG = "ITERATIONS" in os.environ  # such as 2000: each way, and each optimizer
ITERATIONS = int(os.environ.get("ITERATIONS", "200"))

WAYS: dict[str, Callable[[], Lookback | Lookahead]] = {
    "lookback": Lookback,
    "lookback, difference": lambda: Lookback(strategy="difference"),
    "lookback, activations kept": lambda: Lookback(keep=float("inf")),
    "lookback, 3 steps": lambda: Lookback(3),
    "lookback, 3 steps, unroll": lambda: Lookback(3, strategy="unroll"),
    "mixed": lambda: Lookahead(2, "mixed"),
    "auto": lambda: Lookahead(2, "auto"),  # by mixed, as long as that works
    "unroll": lambda: Lookahead(2, "unroll"),
    "difference": lambda: Lookahead(2, "difference"),
}
ALL_OPTIMIZERS: dict[str, MakeOptimizer] = {**OPTIMIZERS, **TORCHOPT}
CASES = [
    *[(name, "Adam") for name in WAYS],
    *[("lookback", optimizer) for optimizer in ALL_OPTIMIZERS if optimizer != "Adam"],
]
FEW = ("lookback", "lookback, difference", "auto", "unroll", "difference")  # by Adam


@pytest.fixture(autouse=True)
def _only_new_objects_are_searched() -> Iterator[None]:
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def live_tensors() -> int:
    gc.collect()
    return sum(issubclass(type(item), Tensor) for item in gc.get_objects())


def resident_bytes() -> int:
    # Memory that earlier tests freed may still belong to the process, and would hide a leak.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def growth(action: Callable[[], Any], times: int) -> tuple[int, int]:
    """Return how many tensors and bytes ``times`` calls leave behind, after some warm-up calls."""
    for _ in range(10):
        action()
    tensors, size = live_tensors(), resident_bytes()
    for _ in range(times):
        action()
    return live_tensors() - tensors, resident_bytes() - size


def test_a_leak_would_be_seen() -> None:
    kept = []

    def leak() -> None:
        parameter = torch.ones(WIDTH, WIDTH, dtype=torch.float64, requires_grad=True)
        kept.append((parameter * 2).exp().sum())

    tensors, size = growth(leak, 200)
    assert tensors >= 200
    assert size > BOUND


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


@pytest.mark.parametrize(("name", "optimizer"), CASES if LONG else [(name, "Adam") for name in FEW])
def test_memory_stays_flat(name: str, optimizer: str) -> None:
    make = ALL_OPTIMIZERS[optimizer]
    here, way = training(wide(), make, steps=3), WAYS[name]()
    batches = cycle(here.train_batches)
    tensors, size = growth(lambda: iterate(here, way, list(islice(batches, way.steps))), ITERATIONS)
    assert tensors <= 0
    assert size < BOUND
