"""What can be tried before anything is written."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import nn

from metaloss.checks import InputError, check_at_least, require
from metaloss.training.methods import Method
from metaloss.training.recipe import Recipe
from metaloss.training.records import check_names
from metaloss.types import Batch, Loader, TaskLike, TaskSpec


def check_fit(
    task: TaskLike,
    model: nn.Module,
    recipe: Recipe,
    methods: Sequence[Method],
    *,
    frozen: bool = False,
) -> None:
    """Try data, network and methods on one batch, and make an optimizer and its schedule.

    Args:
        task: the data.
        model: a fresh network.
        recipe: what makes the optimizer.
        methods: each one's criterion is made for the task.
        frozen: nothing will be learned here, not even by a method that learns.

    Raises:
        InputError: data without a batch, a network that does not take it, an optimizer or a
            schedule that cannot be made, or a method that does not go with the task.
    """
    learns = any(method.learns for method in methods) and not frozen
    batch = first_batch(f"task {task.name}: train", task.train)
    first_batch(f"task {task.name}: test", task.test)
    if task.validation is not None:
        first_batch(f"task {task.name}: validation", task.validation)
    if task.meta is not None and learns:
        first_batch(f"task {task.name}: meta", task.meta)
    require(
        len(task.train_targets) == task.train.num_samples,
        f"task {task.name}: expected a target for each of {task.train.num_samples} training "
        f"samples, got {len(task.train_targets)}",
    )
    _check_optimizers(model, recipe)
    model.eval()
    with torch.no_grad():
        try:
            outputs = model(batch.inputs)
        except RuntimeError as error:
            require(
                False,
                f"model: expected one that takes inputs {list(batch.inputs.shape)}, but it "
                f"says: {str(error).splitlines()[0]}",
            )
    values = task.num_classes is None
    wanted = batch.targets.shape[-1] if values else task.num_classes
    require(
        outputs.ndim == 2 and outputs.shape[1] == wanted,
        f"model: expected outputs [batch, {wanted}] for the task's "
        f"{'values' if values else 'classes'}, got {list(outputs.shape)}",
    )
    for method in methods:
        require(
            frozen or not method.learns or task.meta is not None,
            f"{method.name}: expected a task with clean samples to meta-train on, got none in "
            f"{task.name}",
        )
        criterion = method.criterion(task).to(outputs.device)
        criterion.prepare(task.train_targets, task.num_classes)
        criterion(outputs, batch.targets, batch.index)


def first_batch(name: str, loader: Loader) -> Batch:
    """A loader's first batch.

    Args:
        name: what to call it.
        loader: a source of batches.

    Raises:
        InputError: it has none.
    """
    count = len(loader)
    batch = next(iter(loader.epoch(0)), None) if count else None
    if batch is None:
        raise InputError(f"{name}: expected one batch or more in an epoch, got none")
    return batch


def _check_optimizers(model: nn.Module, recipe: Recipe) -> None:
    try:
        optimizer = recipe.optimizer(p for p in model.parameters() if p.requires_grad)
        if recipe.schedule is not None:
            with warnings.catch_warnings():  # it is never stepped
                warnings.simplefilter("ignore")
                recipe.schedule(optimizer)
    except (TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"optimizer and schedule: expected arguments that torch takes, but it says: {reason}"
        ) from error


def check_runs(
    recipe: Recipe, *, seeds: Sequence[int], last: int, threads: int | None, checkpoint_every: int
) -> None:
    """Raise :class:`~metaloss.checks.InputError` unless runs can be made and summed up so.

    Args:
        recipe: how to train.
        seeds: one run each.
        last: over how many last epochs figures are means.
        threads: CPU threads for torch.
        checkpoint_every: epochs between checkpoints.
    """
    require(
        not isinstance(seeds, int) and 0 < len(set(seeds)) == len(seeds),
        f"seeds: expected one or more different ones, such as (0, 1), got {seeds!r}",
    )
    for seed in seeds:
        check_at_least("seeds", seed, 0)
    check_at_least("last", last, 1)
    evaluated = recipe.evaluate_last
    require(
        evaluated is None or evaluated >= min(last, recipe.epochs),
        f"last: expected at most the recipe's {evaluated} epochs that are evaluated, got {last}",
    )
    check_at_least("threads", 1 if threads is None else threads, 1)
    check_at_least("checkpoint_every", checkpoint_every, 1)


def check_specs(
    what: str,
    specs: Sequence[TaskSpec],
    model: Callable[[], nn.Module] | None,
    recipe: Recipe,
) -> None:
    """Raise :class:`~metaloss.checks.InputError` unless these tasks can be run side by side.

    Args:
        what: what to call them.
        specs: one or more, with names that make different folders, each with a network and as
            many epochs.
        model: for those that name none.
        recipe: for those that have none.
    """
    check_names(what, [spec.name for spec in specs])
    for spec in specs:
        require(
            spec.model is not None or model is not None,
            f"{what}: expected a network for every task, got none for {spec.name}",
        )
        require(
            spec.recipe is None or isinstance(spec.recipe, Recipe),
            f"{what}: expected a Recipe or none for {spec.name}, got {spec.recipe!r}",
        )
        epochs = (spec.recipe or recipe).epochs
        require(
            epochs == recipe.epochs,
            f"{what}: expected {recipe.epochs} epochs for each, got {epochs} in the recipe of "
            f"{spec.name}",
        )
