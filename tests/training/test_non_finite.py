"""Meta steps whose hypergradient is not finite are skipped and reported."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from metaloss import AdjustedLoss, Adjuster
from metaloss.bilevel import Lookahead
from metaloss.checks import InputError
from metaloss.conditioners import Margin
from metaloss.losses import GCE
from metaloss.training import Observer, Recipe, TrainState, train
from metaloss.training.non_finite import NonFiniteGuard, step_if
from tests.helpers.tasks import blobs

MAKERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.1),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.1),
}
every_optimizer = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


def gradients(**values: float) -> dict[str, torch.Tensor]:
    return {name: torch.tensor([1.0, value]) for name, value in values.items()}


def test_the_first_step_and_tensor_are_named() -> None:
    guard = NonFiniteGuard()
    assert guard.skipped() is None
    assert guard.check(gradients(a=0.0, b=1.0), 4)
    assert guard.skipped() is None
    assert not guard.check(gradients(a=0.0, b=math.inf), 5)
    assert guard.check(gradients(a=2.0, b=1.0), 6)
    assert not guard.check(gradients(a=math.nan, b=math.nan), 7)
    assert guard.skipped() == (2, 5, "b")


def test_of_two_bad_tensors_the_first_is_named() -> None:
    guard = NonFiniteGuard()
    assert not guard.check(gradients(a=0.0, b=math.nan, c=-math.inf), 0)
    assert guard.skipped() == (1, 0, "b")


def training(make) -> tuple[nn.Linear, torch.optim.Optimizer]:
    torch.manual_seed(0)
    layer = nn.Linear(3, 2)
    return layer, make(layer.parameters())


def give(layer: nn.Linear, value: float) -> None:
    for p in layer.parameters():
        p.grad = torch.full_like(p, value)


@every_optimizer
def test_a_good_step_is_the_optimizers(make) -> None:
    (ours, optimizer), (theirs, plain) = training(make), training(make)
    for value in (1.0, -0.5, 2.0):
        give(ours, value)
        give(theirs, value)
        step_if(torch.tensor(True), optimizer)
        plain.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, b)


@every_optimizer
@pytest.mark.parametrize("steps_before", [0, 2])
def test_a_bad_step_leaves_no_trace(make, steps_before: int) -> None:
    layer, optimizer = training(make)
    for _ in range(steps_before):
        give(layer, 1.0)
        optimizer.step()
    twin = copy.deepcopy((layer, optimizer))
    give(layer, math.nan)
    step_if(torch.tensor(False), optimizer)
    for going_on in ((layer, optimizer), twin):
        for value in (1.0, -0.5):
            give(going_on[0], value)
            going_on[1].step()
    for a, b in zip(layer.parameters(), twin[0].parameters(), strict=True):
        assert a.isfinite().all()
        assert torch.equal(a, b)


def started(task, recipe: Recipe) -> TrainState:
    criterion = AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin()))
    return TrainState.start(nn.Linear(5, 3), criterion, task, recipe)


def test_a_loss_that_is_not_finite_stops_the_run() -> None:
    task = blobs()
    recipe = Recipe(epochs=1)
    state = started(task, recipe)

    class Break(Observer):
        def step(self, step: int) -> None:
            state.model.bias.data.fill_(math.nan)

    with pytest.raises(InputError, match=r"step 0: it left bias with values that are not"):
        train(state, task, recipe, Break())


def test_a_hypergradient_that_is_not_finite_is_not_taken() -> None:
    task = blobs()

    def broken(outputs, targets):
        return F.cross_entropy(outputs, targets) * math.nan

    recipe = Recipe(epochs=1, meta_every=1, lookahead=Lookahead(meta_loss=broken))
    state = started(task, recipe)
    before = copy.deepcopy(state.criterion.adjuster.state_dict())
    (record,) = train(state, task, recipe)
    assert record["meta_steps_skipped"] == {"number": 6, "step": 0, "tensor": "net.0.weight"}
    assert all(torch.equal(before[k], v) for k, v in state.criterion.adjuster.state_dict().items())


def test_too_many_hypergradients_in_a_row_end_the_run() -> None:
    task = blobs()
    calls = 0

    def broken(outputs, targets):
        nonlocal calls
        calls += 1
        return F.cross_entropy(outputs, targets) * (1.0 if calls in {1, 5} else math.nan)

    recipe = Recipe(epochs=3, meta_every=1, max_skipped=9, lookahead=Lookahead(meta_loss=broken))
    records = []

    class Keep(Observer):
        def epoch(self, record) -> None:
            records.append(record)

    state = started(task, recipe)
    before = copy.deepcopy(state.criterion.adjuster.state_dict())
    # Of 18 meta steps, 0 and 4 are finite; 5 to 17 are the row, which is seen after epoch 3.
    with pytest.raises(InputError, match=r"13 meta steps in a row .*, first in net\.0\.weight"):
        train(state, task, recipe, Keep())
    assert [record["meta_steps_skipped"]["number"] for record in records] == [4, 6]
    assert all(value.isfinite().all() for value in state.criterion.adjuster.state_dict().values())
    assert before.keys() == state.criterion.adjuster.state_dict().keys()


def test_the_number_in_a_row_goes_on_in_the_next_epoch_and_in_another_process() -> None:
    guard = NonFiniteGuard()
    for step, value in enumerate((0.0, math.nan, math.nan)):
        guard.check(gradients(a=value), step)
    guard.check_in_a_row(3)
    with pytest.raises(InputError, match="2 meta steps in a row"):
        guard.check_in_a_row(2)
    later, other = guard.next_epoch(), NonFiniteGuard()
    assert later.skipped() is None
    later.check_in_a_row(1)
    other.load_state_dict(later.state_dict(), torch.device("cpu"))
    other.check(gradients(a=math.inf), 3)
    assert other.skipped() == (1, 3, "a")
    with pytest.raises(InputError, match="3 meta steps in a row"):
        other.check_in_a_row(3)
    assert other.check(gradients(a=1.0), 4)
    assert not other.check(gradients(a=math.inf), 5)
    assert NonFiniteGuard().next_epoch().skipped() is None
