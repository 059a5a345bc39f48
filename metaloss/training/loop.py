r"""Algorithms 1 and 2 as one loop.

Every ``meta_every`` steps the adjuster takes a step along the hypergradient (Eq. 10, 11), where
there is something to learn; every step the network takes one on the adjusted loss (Eq. 12, 13).
With a frozen adjuster the first half never happens and this is Algorithm 2.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import torch

from metaloss.checks import InputError, require
from metaloss.losses import CrossEntropy
from metaloss.objective import AdjustedLoss
from metaloss.training.evaluate import evaluate
from metaloss.training.observe import Observer
from metaloss.training.recipe import Recipe
from metaloss.training.state import TrainState
from metaloss.training.streams import stream, windows
from metaloss.training.tally import Tally
from metaloss.types import Batch, TaskLike


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
    meta_batches = stream(task.meta, state.meta_step) if task.meta is not None and learns else None
    coming = windows(stream(task.train, state.step), recipe.lookahead.steps)
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
            if due and meta_batches is not None:
                meta_step(state, recipe, window, next(meta_batches), tally)
            ordinary_step(state, window[0], tally, warm_up if warming else state.criterion)
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


def meta_step(
    state: TrainState, recipe: Recipe, window: Sequence[Batch], meta_batch: Batch, tally: Tally
) -> None:
    """The adjuster's step (Eq. 10). A hypergradient that is not finite is not taken."""
    assert state.meta_optimizer is not None
    state.model.train()
    solution = recipe.lookahead.solve(
        state.model, state.optimizer, state.criterion, window, meta_batch
    )
    finite = torch.stack([g.isfinite().all() for g in solution.hypergradient.values()]).all()
    tally.add("meta_loss", solution.meta_loss)
    tally.add("meta_steps_skipped", ~finite)
    if finite:
        for name, theta in state.criterion.adjuster.named_parameters():
            theta.grad = solution.hypergradient.get(name)
        state.meta_optimizer.step()
        state.meta_optimizer.zero_grad(set_to_none=True)
    state.meta_step += 1


def ordinary_step(state: TrainState, batch: Batch, tally: Tally, criterion: AdjustedLoss) -> None:
    """The network's step (Eq. 12); afterwards the conditioner may remember the batch."""
    state.model.train()
    outputs = state.model(batch.inputs)
    losses, hparams = criterion.per_sample(outputs, batch.targets, batch.index)
    loss = losses.mean()
    if loss.device.type == "cpu":  # elsewhere it would wait for the device: looked at by epochs
        _check_finite_loss(loss.item(), state.step)
    state.optimizer.zero_grad(set_to_none=True)
    # The loss passes through the adjuster, whose gradient is no business of this step.
    stepped = [p for group in state.optimizer.param_groups for p in group["params"]]
    loss.backward(inputs=stepped)  # type: ignore[no-untyped-call]
    state.optimizer.step()
    state.criterion.observe(outputs, batch.targets, batch.index)
    tally.add_batch(losses, hparams, outputs, batch.targets, batch.index)


def _check_finite_loss(loss: float, step: int) -> None:
    if not math.isfinite(loss):
        raise InputError(
            f"step {step}: the training loss is {loss}; check the inputs, or lower the "
            "learning rate"
        )


def _record(
    state: TrainState, task: TaskLike, tally: Tally, epoch: int, seconds: float
) -> dict[str, Any]:
    means = tally.means()
    _check_finite_loss(means["train_loss"], state.step)
    test = evaluate(state.model, task.test)
    record = {
        "epoch": epoch + 1,
        "step": state.step,
        "meta_step": state.meta_step,
        "lr": state.optimizer.param_groups[0]["lr"],
        **means,
        "test_accuracy": test.accuracy,
        "test_loss": test.loss,
    }
    if task.validation is not None:
        validation = evaluate(state.model, task.validation)
        record["validation_accuracy"] = validation.accuracy
        record["validation_loss"] = validation.loss
    record["seconds"] = seconds
    record["samples_per_second"] = tally.samples / seconds
    return record
