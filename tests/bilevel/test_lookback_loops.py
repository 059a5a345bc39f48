"""Lookbacks over loops with accumulation, changing adjusters, scalers or kept activations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from metaloss import AdjustedLoss, Adjuster, InputError
from metaloss.bilevel import ClipNorm, Lookahead, Lookback
from metaloss.bilevel.network import copied
from metaloss.bilevel.tangent import Activations
from metaloss.conditioners import ClassMargins, Concat, Margin, Progress
from metaloss.losses import GCE
from tests.bilevel.cases import OPTIMIZERS, batch, learned, training
from tests.bilevel.models import CLASSES, GRID, MODELS
from tests.bilevel.test_lookback import made, remembering
from tests.helpers.exhaustive import all_pairs, mostly_exhaustive
from tests.helpers.hypergradients import Training, assert_near, directions, in_single, inner

# Gradient accumulation


def accumulate(here: Training, batches: list) -> None:
    here.optimizer.zero_grad()
    for inputs, targets, index in batches:
        (here.criterion(here.model(inputs), targets, index) / len(batches)).backward()
    here.optimizer.step()


def accumulated(here: Training, lookback: Lookback, windows: list[list]) -> dict:
    for batches in windows:
        with lookback.step(here.model, here.optimizer, here.criterion, batches):
            accumulate(here, batches)
    return lookback.hypergradient(here.meta_batch)


def meta_loss(here: Training, windows: list[list], nudge: dict, moves: list[dict]) -> float:
    """Return the meta loss after real steps with a nudged adjuster that moves between steps."""
    here = here.twin()
    theta = dict(here.criterion.adjuster.named_parameters())
    for k, batches in enumerate(windows):
        with torch.no_grad():
            for name, p in theta.items():
                p.add_(nudge[name] if k == 0 else moves[k - 1][name])
        accumulate(here, batches)
    inputs, targets = here.meta_batch
    with torch.no_grad():
        return float(nn.functional.cross_entropy(here.model(inputs), targets))


def assert_slopes(here: Training, found: dict, windows: list[list], moves: list[dict]) -> None:
    state, length = torch.get_rng_state(), inner(found, found) ** 0.5
    assert length > 1e-6
    for direction in directions(found, 2):
        ends = []
        for sign in (1e-5, -1e-5):
            torch.set_rng_state(state)
            nudge = {name: sign * v for name, v in direction.items()}
            ends.append(meta_loss(here, windows, nudge, moves))
        slope = (ends[0] - ends[1]) / 2e-5
        assert abs(inner(found, direction) - slope) < 1e-6 * length


@all_pairs(
    "name, strategy, steps",
    ["MLP-dropout", "CNN-BatchNorm", "centred"],
    ["mixed", "unroll"],
    [1, 2],
)
def test_accumulation_over_micro_batches(name: str, strategy: str, steps: int) -> None:
    # Over several steps the conditioner's memory would depend on the adjuster, and derivatives do
    # not follow that.
    criterion = remembering(detach=False) if steps == 1 else learned()
    here = training(MODELS[name](), OPTIMIZERS["SGD-Nesterov"], criterion, steps_before=1)
    windows = [[batch(10 * k + i, size=6) for i in range(3)] for k in range(steps)]
    start, state = here.twin(), torch.get_rng_state()
    found = accumulated(here, Lookback(steps, strategy=strategy), windows)
    torch.set_rng_state(state)
    none = {n: torch.zeros_like(p) for n, p in criterion.adjuster.named_parameters()}
    assert_slopes(start, found, windows, [none] * (steps - 1))


def test_accumulation_by_differences() -> None:
    here = training(MODELS["MLP-dropout"](), OPTIMIZERS["SGD-Nesterov"], steps_before=1)
    windows = [[batch(i, size=6) for i in range(3)]]
    state, twin = torch.get_rng_state(), here.twin()
    expected = accumulated(twin, Lookback(), windows)
    torch.set_rng_state(state)
    assert_near(accumulated(here, Lookback(strategy="difference"), windows), expected, 1e-5)


def test_differences_hold_what_the_conditioner_observes_between_micro_batches() -> None:
    conditioner = ClassMargins(decay=0.5)
    adjuster = Adjuster.for_loss(GCE(), conditioner, hidden=6)
    criterion = AdjustedLoss(GCE(), conditioner, adjuster).double()
    here = training(MODELS["MLP"](), OPTIMIZERS["SGD-Nesterov"], criterion, steps_before=1)
    windows, twin = [[batch(i, size=6) for i in range(3)]], here.twin()
    expected = accumulated(twin, Lookback(), windows)
    assert_near(accumulated(here, Lookback(strategy="difference"), windows), expected, 1e-6)


@pytest.mark.parametrize("strategy", ["mixed", "unroll"])
def test_progress_moves_between_micro_batches(strategy: str) -> None:
    conditioner = Concat([Margin(), Progress()])
    adjuster = Adjuster.for_loss(GCE(), conditioner, hidden=6)
    criterion = AdjustedLoss(GCE(), conditioner, adjuster, detach=False, total_steps=8).double()
    here = training(MODELS["MLP"](), OPTIMIZERS["SGD-Nesterov"], criterion, steps_before=1)
    windows = [[batch(k, size=6) for k in range(3)]]
    start = here.twin()
    found = accumulated(here, Lookback(strategy=strategy), windows)
    assert criterion.steps.done == start.criterion.steps.done + 3
    assert conditioner.state_dict()["conditioners.1.fraction"] == criterion.steps.fraction
    assert_slopes(start, found, windows, [])


def test_micro_batches_of_other_sizes_are_refused() -> None:
    here = training(nn.Conv2d(1, CLASSES, 3), steps_before=0)
    batches = [
        (
            torch.zeros(2, 1, size, size, dtype=torch.float64),
            torch.zeros(2, size - 2, size - 2).long(),
        )
        for size in (5, 6)
    ]
    with pytest.raises(InputError, match=r"got \[2, 3, 3, 3\], \[2, 3, 4, 4\]; pad them alike"):  # noqa: SIM117
        with Lookback().step(here.model, here.optimizer, here.criterion, batches):
            here.optimizer.zero_grad()
            for inputs, targets in batches:
                here.criterion(here.model(inputs), targets).backward()
            here.optimizer.step()


# An adjuster that moves between the steps


@pytest.mark.parametrize("strategy", ["mixed", "unroll"])
def test_every_step_at_its_own_theta(strategy: str) -> None:
    here = training(MODELS["MLP"](), OPTIMIZERS["SGD-Nesterov"], steps_before=1)
    theta = dict(here.criterion.adjuster.named_parameters())
    windows = [[batch(k)] for k in range(4)]
    moves = [{n: 0.1 * torch.randn_like(p) for n, p in theta.items()} for _ in windows[1:]]
    lookback = Lookback(3, strategy=strategy)
    for k, batches in enumerate(windows):
        if k == 1:  # the first of the three that are looked back over
            start = here.twin()
        if k > 0:
            with torch.no_grad():
                for name, p in theta.items():
                    p.add_(moves[k - 1][name])
        with lookback.step(here.model, here.optimizer, here.criterion, batches):
            accumulate(here, batches)
    found = lookback.hypergradient(here.meta_batch)
    with torch.no_grad():
        for name, p in start.criterion.adjuster.named_parameters():
            p.add_(moves[0][name])
    assert_slopes(start, found, windows[1:], moves[1:])


def test_the_last_steps_after_each_step() -> None:
    """Each step is followed by a hypergradient over the last three steps."""
    here = training(steps=5)
    once = here.twin()
    lookback, last = Lookback(3), Lookback(3)
    found = None
    for k, each in enumerate(here.train_batches):
        with lookback.step(here.model, here.optimizer, here.criterion, each):
            accumulate(here, [each])
        if k >= 2:
            found = lookback.hypergradient(here.meta_batch)
        with last.step(once.model, once.optimizer, once.criterion, each):
            accumulate(once, [each])
    assert found is not None
    assert_near(found, last.hypergradient(once.meta_batch), 1e-12)


# Precision


@contextmanager
def half(name: str) -> Iterator[None]:
    with torch.autocast("cpu", torch.bfloat16, enabled=name == "autocast"):
        yield


@pytest.mark.parametrize("clip", [None, ClipNorm(0.05)], ids=["plain", "clipped"])
@pytest.mark.parametrize("kind", ["plain", "autocast"])
def test_a_gradient_scaler(kind: str, clip: ClipNorm | None) -> None:
    here = in_single(training(MODELS["CNN-BatchNorm"](), OPTIMIZERS["SGD-momentum"]))
    expected = here.look_ahead(Lookahead(strategy="unroll", clip=clip))
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    lookback = Lookback(clip=clip)
    inputs, targets, index = each = here.train_batches[0]
    with lookback.step(here.model, here.optimizer, here.criterion, each, scaler=scaler):
        here.optimizer.zero_grad()
        with half(kind):
            outputs = here.model(inputs).float()
        scaler.scale(here.criterion(outputs, targets, index)).backward()
        if clip is not None:
            scaler.unscale_(here.optimizer)
            clip.clip_(here.model.parameters())
        scaler.step(here.optimizer)
        scaler.update()
    found = lookback.hypergradient(here.meta_batch)
    assert_near(found, expected, 1e-4 if kind == "plain" else 0.05)


@pytest.mark.parametrize("fused", [False, True])
def test_a_step_that_overflows_is_no_step(fused: bool) -> None:
    here = in_single(training(MODELS["MLP"](), OPTIMIZERS["SGD"]))
    optimizer = torch.optim.Adam(here.model.parameters(), fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**120)
    lookback = Lookback()
    inputs, targets, index = each = here.train_batches[0]
    before = copied(dict(here.model.named_parameters()))
    for expected in (0, 1):
        with lookback.step(here.model, optimizer, here.criterion, each, scaler=scaler):
            optimizer.zero_grad()
            loss = here.criterion(here.model(inputs), targets, index)
            scaler.scale(loss * (1.0 if expected else 1e30)).backward()
            scaler.step(optimizer)
        assert lookback.watched == expected
        moved = any(not torch.equal(before[n], p) for n, p in here.model.named_parameters())
        assert moved == bool(expected)
        scaler.update(1.0)


# Kept activations

OTHERS = ("in-place", "transformer", "norms", "resnet8")


@pytest.mark.parametrize(
    "name",
    mostly_exhaustive(
        [*MODELS, *OTHERS], *("MLP-dropout", "CNN-BatchNorm", "LSTM", "centred", "tied"), *OTHERS
    ),
)
def test_kept_activations_change_nothing(name: str) -> None:
    build = GRID[name]
    torch.manual_seed(3)
    here = training(build(), OPTIMIZERS["SGD-Nesterov"], steps_before=1)
    expected = here.look_ahead(Lookahead(strategy="unroll"))
    assert_near(made(here, Lookback(keep=10.0)), expected, 1e-9)


def test_kept_activations_of_micro_batches() -> None:
    windows = [[batch(i, size=6) for i in range(3)]]
    torch.manual_seed(3)
    here = training(MODELS["CNN-dropout2d"](), steps_before=1)
    twin, state = here.twin(), torch.get_rng_state()
    expected = accumulated(here, Lookback(), windows)
    torch.set_rng_state(state)
    assert_near(accumulated(twin, Lookback(keep=10.0), windows), expected, 1e-12)


@pytest.mark.parametrize(("mebibytes", "kept"), [(1.0, [False, True]), (1.001, [True, True])])
def test_activations_are_kept_up_to_so_many_mebibytes(
    mebibytes: float, kept: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first layer's outputs take 1 MiB in float64, those of the last 768 bytes."""
    here = training(nn.Sequential(nn.Flatten(), nn.Linear(36, 4096), nn.Linear(4096, 3)))
    found: list[bool] = []
    take = Activations.take

    def taken(*args: Any) -> Tensor | None:
        output = take(*args)
        found.append(output is not None)
        return output

    monkeypatch.setattr(Activations, "take", taken)
    accumulated(here, Lookback(keep=mebibytes), [[batch(0, size=32)]])
    assert found == kept


def test_activations_of_other_calls_are_not_taken_for_the_steps() -> None:
    """The step first calls the model for another purpose."""
    here = training(MODELS["CNN-BatchNorm-eval"](), steps_before=1)
    expected = here.look_ahead(Lookahead(strategy="unroll"))
    lookback = Lookback(keep=10.0)
    inputs, targets, index = each = here.train_batches[0]
    with lookback.step(here.model, here.optimizer, here.criterion, each):
        here.model(inputs + 1.0)
        here.optimizer.zero_grad()
        here.criterion(here.model(inputs), targets, index).backward()
        here.optimizer.step()
    assert_near(lookback.hypergradient(here.meta_batch), expected, 1e-9)
