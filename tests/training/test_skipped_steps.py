"""Ordinary steps whose loss or gradient is not finite are skipped, and leave no trace."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from metaloss import AdjustedLoss, Adjuster
from metaloss.bilevel import ClipNorm, Lookahead
from metaloss.checks import InputError
from metaloss.conditioners import Margin, MovingAverage
from metaloss.losses import GCE
from metaloss.training import Engine, Observer, Recipe, TrainState, train
from metaloss.training.epoch import Epoch
from metaloss.training.epoch_checks import EpochChecks
from metaloss.training.epoch_metrics import EpochMetrics
from metaloss.training.kept_buffers import KeptBuffers
from metaloss.training.non_finite import first_bad
from metaloss.training.steps import ordinary_step
from metaloss.types import Batch
from tests.helpers.tasks import blobs


class Network(nn.Module):
    """A network with buffers, whose gradient is multiplied by ``factor``."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(5)
        self.net = nn.Linear(5, 3)
        self.factor = 1.0

    def forward(self, inputs: Tensor) -> Tensor:
        outputs = self.net(self.norm(inputs))
        if self.factor != 1.0 and outputs.requires_grad:
            outputs.register_hook(lambda gradient: gradient * self.factor)
        return outputs


def started(task: Any, recipe: Recipe, dtype: torch.dtype = torch.float64) -> TrainState:
    torch.manual_seed(0)
    conditioner = MovingAverage(Margin())
    criterion = AdjustedLoss(GCE(), conditioner, Adjuster.for_loss(GCE(), conditioner)).to(dtype)
    return TrainState.start(Network().to(dtype), criterion, task, recipe)


def everything(state: TrainState) -> dict[str, Tensor]:
    """All tensors that a step changes."""
    assert state.margins is not None
    found = {f"model.{name}": value for name, value in state.model.state_dict().items()}
    found |= {f"criterion.{name}": value for name, value in state.criterion.state_dict().items()}
    for i, each in enumerate(state.optimizer.state_dict()["state"].values()):
        found |= {f"optimizer.{i}.{k}": v for k, v in each.items() if isinstance(v, Tensor)}
    found |= {"sums": state.margins.sums, "counts": state.margins.counts}
    return {name: value.clone() for name, value in found.items()}


def differing(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> list[str]:
    assert ours.keys() == theirs.keys()
    same = {"rtol": 0.0, "atol": 0.0, "equal_nan": True}
    return [name for name in ours if not torch.allclose(ours[name], theirs[name], **same)]


def spoilt(batch: Batch, how: str, model: nn.Module) -> Batch:
    """A batch whose step is not finite, or that makes the gradient so."""
    if how == "gradient":
        model.factor = math.inf
        return batch
    inputs = batch.inputs.clone()
    inputs[3, 2] = math.nan if how == "NaN" else math.inf
    return batch._replace(inputs=inputs)


OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=True),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.1),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("how", ["NaN", "infinity", "gradient"])
@pytest.mark.parametrize("clip", [None, ClipNorm(1.0)])
def test_a_skipped_step_leaves_no_trace(optimizer: str, how: str, clip: ClipNorm | None) -> None:
    task = blobs(dtype=torch.float64)
    recipe = Recipe(epochs=1, optimizer=OPTIMIZERS[optimizer])
    ours, theirs = started(task, recipe), started(task, recipe)
    first, second, third, *_ = task.train.epoch(0)
    epoch = Epoch(EpochMetrics(()))
    settings: dict[str, Any] = {"clip": clip, "max_skipped": 3}
    assert ordinary_step(ours, first, epoch, ours.criterion, **settings)
    before, bad = everything(ours), spoilt(second, how, ours.model)
    for number in (1, 2):
        assert not ordinary_step(ours, bad, epoch, ours.criterion, **settings)
        assert ours.skipped == number
    assert differing(before, everything(ours)) == []
    ours.model.factor = 1.0
    assert ordinary_step(ours, third, epoch, ours.criterion, **settings)
    assert ours.skipped == 0 and epoch.metrics.samples == 20
    assert epoch.checks.skipped == (2, 0, "norm.weight" if how == "gradient" else "loss")
    for batch in (first, third):
        ordinary_step(theirs, batch, Epoch(EpochMetrics(())), theirs.criterion, clip=clip)
    assert differing(everything(theirs), everything(ours)) == []


class Scaled(Engine):
    """An engine with a gradient scaler, as that of float16 on a GPU."""

    @cached_property
    def scaler(self) -> torch.amp.GradScaler:  # type: ignore[override]
        return torch.amp.GradScaler("cpu", init_scale=256.0)

    def backward(self, loss: Tensor, inputs: Sequence[Tensor]) -> None:
        self.scaler.scale(loss).backward(inputs=inputs)

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        self.scaler.unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        self.scaler.step(optimizer)
        self.scaler.update()


def test_a_loss_that_is_not_finite_leaves_no_trace_beside_a_scaler() -> None:
    task = blobs(dtype=torch.float64)
    state = started(task, Recipe(epochs=1))
    state.engine = Scaled()
    first, second, third, *_ = task.train.epoch(0)
    epoch = Epoch(EpochMetrics(()))
    assert ordinary_step(state, first, epoch, state.criterion, max_skipped=3)
    before = everything(state)
    bad = spoilt(second, "NaN", state.model)
    assert not ordinary_step(state, bad, epoch, state.criterion, max_skipped=3)
    assert differing(before, everything(state)) == [] and epoch.checks.skipped == (1, 0, "loss")
    assert state.engine.scaler.get_scale() == 256.0
    assert ordinary_step(state, third, epoch, state.criterion, max_skipped=3)
    # The scaler skips a gradient that overflows, to find its factor; it is not counted.
    weights, state.model.factor = state.model.net.weight.clone(), math.inf
    assert ordinary_step(state, second, epoch, state.criterion, max_skipped=3)
    assert torch.equal(weights, state.model.net.weight) and epoch.checks.skipped == (1, 0, "loss")
    assert state.engine.scaler.get_scale() == 128.0


def test_too_many_in_a_row_end_the_run() -> None:
    task = blobs(dtype=torch.float64)
    state = started(task, Recipe(epochs=1))
    state.model.factor = math.nan
    before, batch = everything(state), next(task.train.epoch(0))
    for _ in range(2):
        ordinary_step(state, batch, Epoch(EpochMetrics(())), state.criterion, max_skipped=3)
    said = (
        r"step 0: the gradient of norm\.weight is not finite, and so it was in 3 steps in a row; "
    )
    with pytest.raises(InputError, match=said):
        ordinary_step(state, batch, Epoch(EpochMetrics(())), state.criterion, max_skipped=3)
    assert differing(before, everything(state)) == []


class Spoil(Observer):
    """Makes the gradient NaN in some steps."""

    def __init__(self, state: TrainState, *steps: int) -> None:
        self.state, self.steps = state, steps

    def step(self, step: int) -> None:
        self.state.model.factor = math.nan if step in self.steps else 1.0


@pytest.mark.parametrize("update", ["before", "after"])
@pytest.mark.parametrize("steps", [1, 2])
def test_training_goes_on_without_hypergradients_of_skipped_steps(update: str, steps: int) -> None:
    task = blobs(dtype=torch.float64)
    lookahead = Lookahead(steps=steps)
    recipe = Recipe(epochs=2, meta_every=1, meta_update=update, lookahead=lookahead)
    state = started(task, recipe)
    first, second = train(state, task, recipe, Spoil(state, 3, 4, 8))
    assert first["skipped_steps"] == {"number": 2, "step": 3, "tensor": "norm.weight"}
    assert second["skipped_steps"] == {"number": 1, "step": 8, "tensor": "norm.weight"}
    assert ("meta_steps_skipped" in first) == (update == "before")  # the rehearsal is spoilt, too
    # An epoch has 6 steps. A lookback over 2 needs 2 steps in one epoch, without a skipped one.
    wanted = {"before": (12, 12), "after": (9, 5)}
    assert second["meta_step"] == wanted[update][steps - 1]
    assert all(value.isfinite().all() for value in everything(state).values())


def test_an_epoch_without_a_step_ends_the_run() -> None:
    task = blobs(dtype=torch.float64)
    recipe = Recipe(epochs=2, max_skipped=100)
    state = started(task, recipe)
    state.model.factor = math.nan
    with pytest.raises(InputError, match="epoch 1: all 6 steps were skipped"):
        train(state, task, recipe)


def test_the_number_in_a_row_is_part_of_the_state() -> None:
    task = blobs(dtype=torch.float64)
    recipe = Recipe(epochs=1)
    state, other = started(task, recipe), started(task, recipe)
    state.skipped = 4
    other.load_state_dict(copy.deepcopy(state.state_dict()))
    assert other.skipped == 4
    checks, again = EpochChecks(), EpochChecks()
    checks.skip_step(7, "loss")
    checks.skip_step(8, "weight")
    again.load_state_dict(checks.state_dict(), torch.device("cpu"))
    assert again.skipped == (2, 7, "loss")


def params(*gradients: Tensor | None) -> list[nn.Parameter]:
    found = []
    for gradient in gradients:
        found.append(nn.Parameter(torch.zeros(2) if gradient is None else gradient * 0))
        found[-1].grad = gradient
    return found


def test_the_first_bad_tensor() -> None:
    good, bad = torch.ones(2), torch.tensor([1.0, -math.inf])
    loss = torch.tensor(1.0)
    for each in ([], params(None), params(good, good), params(good.to(torch.complex64))):
        assert first_bad(loss, each) is None
    for each in (params(None, good, bad, bad), params(good, good.double(), bad.bfloat16(), bad)):
        assert first_bad(loss, each) is each[2]
    opposite = torch.tensor([math.inf, -math.inf])
    for each in (params(good, opposite), params(-bad, bad), params(bad, -bad)):
        assert first_bad(loss, each) is next(p for p in each if not p.grad.isfinite().all())
    for value in (math.nan, math.inf):
        worse = torch.tensor(value)
        assert first_bad(worse, params(good, bad)) is worse


def test_finite_gradients_with_a_sum_that_overflows_are_taken() -> None:
    assert first_bad(torch.tensor(3e38), params(torch.full((4,), 3e38))) is None


def test_sparse_gradients_are_checked() -> None:
    table = nn.Embedding(5, 2, sparse=True)
    for factor, expected in ((1.0, None), (math.nan, table.weight)):
        table.weight.grad = None
        (table(torch.tensor([1, 3, 1])).sum() * factor).backward()
        assert first_bad(torch.tensor(0.0), [table.weight]) is expected


class Replacing(nn.Module):
    """A module that replaces its buffer instead of writing to it."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(()))
        self.register_buffer("nothing", None)

    def forward(self) -> None:
        self.count = self.count + 1


def test_buffers_that_are_replaced_are_restored() -> None:
    module = Replacing()
    kept = KeptBuffers(module)
    for expected in (0, 1):
        kept.keep()
        module()
        kept.restore()
        assert module.count == expected
        module()
