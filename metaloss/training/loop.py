r"""Algorithms 1 and 2 as one loop.

Every ``meta_every`` steps the adjuster takes a step along the hypergradient (Eq. 10, 11), where
there is something to learn; every step the network takes one on the adjusted loss (Eq. 12, 13).
With a frozen adjuster the first half never happens and this is Algorithm 2.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

from metaloss.checks import require
from metaloss.losses import CrossEntropy
from metaloss.objective import AdjustedLoss
from metaloss.training.evaluate import evaluate
from metaloss.training.observe import Observer
from metaloss.training.recipe import Recipe
from metaloss.training.state import TrainState
from metaloss.training.steps import check_finite_loss, meta_step, ordinary_step
from metaloss.training.streams import stream, windows
from metaloss.training.tally import Tally
from metaloss.types import TaskLike


def train(
    state: TrainState,
    task: TaskLike,
    recipe: Recipe,
    observer: Observer | None = None,
    after_epoch: Callable[[TrainState], None] | None = None,
) -> list[dict[str, Any]]:
    """Train to the recipe's end, from wherever ``state`` stands.

    Args:
        state: changed in place.
        task: the data.
        recipe: how to train.
        observer: told of every step and epoch.
        after_epoch: called once an epoch is wholly done: the place for a checkpoint.

    Returns:
        One record an epoch.

    Raises:
        InputError: an adjuster to learn and no clean samples, or a loss that is no longer finite.
    """
    observer = observer or Observer()
    learns = state.meta_optimizer is not None
    require(
        not learns or task.meta is not None,
        f"task {task.name}: expected clean samples to meta-train the adjuster on, got none",
    )
    per_epoch = len(task.train)
    total = per_epoch * recipe.epochs
    snapshot_at = {math.ceil(fraction * total): fraction for fraction in recipe.snapshots}
    speed = recipe.speed
    state.forward = speed.prepare(state.model)
    meta_batches = None
    if task.meta is not None and learns:
        meta_batches = map(speed.laid_out, stream(task.meta, state.meta_step))
    batches = map(speed.laid_out, stream(task.train, state.step))
    coming = windows(batches, recipe.lookahead.steps)
    warm_up = AdjustedLoss.fixed(CrossEntropy())
    device = next(state.model.parameters()).device
    flipped = None if task.flipped is None else task.flipped.to(device)
    records = []
    while state.step < total:
        epoch = state.step // per_epoch
        warming = epoch < recipe.warmup_epochs
        began = time.perf_counter()
        tally = Tally(state.criterion.loss.hyperparameters if not warming else (), flipped)
        for window in islice(coming, per_epoch):
            state.criterion.progress(state.step / total)
            due = state.step % recipe.meta_every == 0 and not warming
            outputs = None
            if due and meta_batches is not None:
                outputs = meta_step(state, recipe, window, next(meta_batches), tally)
            criterion = warm_up if warming else state.criterion
            ordinary_step(state, window[0], tally, criterion, outputs)
            state.step += 1
            if learns and state.step in snapshot_at:
                state.keep_snapshot(snapshot_at[state.step])
            observer.step(state.step)
        record = _record(state, task, tally, epoch, time.perf_counter() - began)
        for schedule in state.schedules:
            schedule.step()
        records.append(record)
        observer.epoch(record)
        if after_epoch is not None:
            after_epoch(state)
    state.criterion.progress(1.0)
    return records


def _record(
    state: TrainState, task: TaskLike, tally: Tally, epoch: int, seconds: float
) -> dict[str, Any]:
    means = tally.means()
    check_finite_loss(means["train_loss"], state.step)
    test = evaluate(state.model, task.test)
    skipped = tally.watch.skipped()
    record = {
        "epoch": epoch + 1,
        "step": state.step,
        "meta_step": state.meta_step,
        "lr": state.optimizer.param_groups[0]["lr"],
        **means,
        "test_accuracy": test.accuracy,
        "test_loss": test.loss,
    }
    if skipped is not None:
        record["meta_steps_skipped"] = skipped._asdict()
    if task.validation is not None:
        validation = evaluate(state.model, task.validation)
        record["validation_accuracy"] = validation.accuracy
        record["validation_loss"] = validation.loss
    record["seconds"] = seconds
    record["samples_per_second"] = tally.samples / seconds
    return record
