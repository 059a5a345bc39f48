"""The loop that looks back over several real steps, and where it may not."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from metaloss import InputError
from metaloss.bilevel import Lookahead, Lookback
from metaloss.training import MultiTaskTraining, Recipe, TaskTraining, train
from metaloss.types import Batch
from tests.helpers.tasks import blobs
from tests.training.test_loop import meta_sgd, sgd, start


def recipe_of(**settings) -> Recipe:
    return Recipe(
        **{
            "epochs": 2,
            "optimizer": sgd,
            "meta_optimizer": meta_sgd,
            "meta_every": 2,
            "lookahead": Lookahead(3),
            **settings,
        }
    )


def by_hand(recipe: Recipe, task) -> tuple[list[Tensor], list[int]]:
    """The same training as a loop of one's own; the adjuster, and the steps it moved after."""
    state = start(task, recipe)
    steps = recipe.lookahead.steps
    lookback, moved = Lookback(steps), []
    meta = [batch for epoch in range(50) for batch in task.meta.epoch(epoch)]
    t, per_epoch = 0, len(task.train)
    for epoch in range(recipe.epochs):
        for k, batch in enumerate(task.train.epoch(epoch)):
            with lookback.step(state.model, state.optimizer, state.criterion, batch):
                state.optimizer.zero_grad()
                state.criterion(state.model(batch.inputs), batch.targets, batch.index).backward()
                state.optimizer.step()
            if k >= steps - 1 and t % recipe.meta_every == (steps - 1) % recipe.meta_every:
                found = lookback.hypergradient(meta[len(moved)])
                for name, theta in state.criterion.adjuster.named_parameters():
                    theta.data -= 0.05 * found[name]
                moved.append(t)
            t += 1
        lookback.forget()
    assert t == recipe.epochs * per_epoch
    return [p.detach() for p in state.criterion.adjuster.parameters()], moved


@pytest.mark.parametrize("every", [1, 2, 5])
def test_as_a_loop_of_ones_own(every: int) -> None:
    task, recipe = blobs(dtype=torch.float64), recipe_of(meta_every=every)
    state = start(task, recipe)
    train(state, task, recipe)
    expected, moved = by_hand(recipe, task)
    assert state.meta_step == len(moved) > 0
    for a, b in zip(state.criterion.adjuster.parameters(), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_the_steps_are_those_that_a_lookahead_would_rehearse() -> None:
    task, recipe = blobs(dtype=torch.float64), recipe_of(epochs=1, meta_every=3)
    _, moved = by_hand(recipe, task)
    assert moved == [2, 5]  # over the steps 0 to 2 and 3 to 5


def test_a_resumed_run_goes_on_the_same() -> None:
    task, recipe = blobs(dtype=torch.float64), recipe_of(meta_every=2)
    whole = start(task, recipe)
    train(whole, task, recipe)

    class Stopped(Exception):
        pass

    state = start(task, recipe)
    first = MultiTaskTraining({"t": TaskTraining(state, task, recipe)})
    saved = []

    def stop() -> None:
        saved.append(copy.deepcopy(first.state_dict()))
        raise Stopped

    with pytest.raises(Stopped):
        first.run(after_epoch=stop)
    again = start(task, recipe)
    second = MultiTaskTraining({"t": TaskTraining(again, task, recipe)})
    second.load_state_dict(saved[0])
    second.run()
    assert again.meta_step == whole.meta_step
    for a, b in zip(again.criterion.parameters(), whole.criterion.parameters(), strict=True):
        assert torch.equal(a, b)


def test_warming_up_is_not_looked_back_over() -> None:
    task = blobs(dtype=torch.float64)
    recipe = recipe_of(epochs=3, warmup_epochs=1, meta_every=1)
    state = start(task, recipe)
    train(state, task, recipe)
    assert state.meta_step == 2 * (len(task.train) - 2)


def test_lookahead_sees_the_batches_that_come_next() -> None:
    task = blobs()
    windows: list[list[Batch]] = []

    class Spy(Lookahead):
        def solve(self, model, optimizer, criterion, train_batches, meta_batch):
            windows.append(list(train_batches))
            return super().solve(model, optimizer, criterion, train_batches, meta_batch)

    recipe = Recipe(
        epochs=1, optimizer=sgd, meta_every=5, meta_update="before", lookahead=Spy(steps=3)
    )
    train(start(task, recipe), task, recipe)
    coming = [*task.train.epoch(0), *task.train.epoch(1)]
    assert len(windows) == 2
    for window, first in zip(windows, [0, 5], strict=True):
        assert len(window) == 3
        for seen, batch in zip(window, coming[first:], strict=False):
            assert torch.equal(seen.index, batch.index)


@pytest.mark.bad_input
def test_more_steps_than_an_epoch_has() -> None:
    task = blobs()
    recipe = recipe_of(lookahead=Lookahead(len(task.train) + 1))
    with pytest.raises(InputError, match=r"no more steps to look back over than the \d+ of an"):
        train(start(task, recipe), task, recipe)
    before = recipe_of(lookahead=recipe.lookahead, meta_update="before", epochs=1)
    train(start(task, before), task, before)


@pytest.mark.bad_input
def test_settings() -> None:
    with pytest.raises(InputError, match="meta_update: expected after or before, got 'during'"):
        recipe_of(meta_update="during")
