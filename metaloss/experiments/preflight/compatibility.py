"""Checks of data, networks and methods before a run begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

import torch
from torch import Tensor, nn

from metaloss.arguments import shown
from metaloss.bilevel.network import copied, put_back
from metaloss.checks import check_finite, check_labels, require, seen
from metaloss.complaints import refusing
from metaloss.experiments.methods import Method
from metaloss.experiments.preflight.distinct import Distinct, shared, tensors
from metaloss.experiments.preflight.first_steps import (
    Excerpt,
    check_meta_optimizer,
    check_optimizers,
    nothing_changed,
    take_first_steps,
)
from metaloss.experiments.records.names import check_names
from metaloss.pretrained.files import check_can_be_saved
from metaloss.training.meta_labels import check_meta_loss
from metaloss.training.recipe import Recipe
from metaloss.training.streams import check_loader
from metaloss.types import Batch, Loader, TaskLike, TaskSpec


def check_fit(
    task: TaskLike,
    make: Callable[[], nn.Module],
    recipe: Recipe,
    methods: Sequence[Method],
    *,
    frozen: bool = False,
    first_steps: bool = True,
) -> None:
    """Try data, network, optimizers and methods on one batch, and restore all state afterwards.

    Args:
        task: the data.
        make: a function that makes a new network.
        recipe: the training recipe.
        methods: the methods, whose criteria are made for the task.
        frozen: treat every adjuster as frozen, even those of methods that learn.
        first_steps: also take the first steps of each method's run, and check that runs do not
            share networks or adjusters.

    Raises:
        InputError: The data has no batch, the network does not take it, runs share a network or an
            adjuster, an optimizer or a schedule cannot be made or stepped, a method does not fit
            the task, or its adjuster could not be saved at the end.
    """
    learns = any(method.learns for method in methods) and not frozen
    train = first_batches(task, "train", task.train, recipe.lookahead.steps if learns else 1)
    first_batches(task, "test", task.test)
    if task.validation is not None:
        first_batches(task, "validation", task.validation)
    meta = first_batches(task, "meta", task.meta) if task.meta is not None and learns else []
    require(
        len(task.train_targets) == task.train.num_samples,
        f"task {task.name}: expected a target for each of {task.train.num_samples} training "
        f"samples, got {len(task.train_targets)}",
    )
    for method in methods:
        require(
            frozen or not method.learns or task.meta is not None,
            f"{method.name}: expected a task with samples to meta-train on, got none in "
            f"{task.name}; without clean ones, learn from noisy ones (gin: recipes/no_clean.gin)",
        )
    if meta:
        check_meta_loss(task, recipe)
    with nothing_changed(train[0].targets.device):
        model, few = make(), Excerpt.of(task, train, meta)
        outputs = _outputs(model.eval(), few)
        check_optimizers(model, recipe)
        if first_steps:
            _check_fresh(model, make(), few)
        compared = Distinct()
        for method in methods:
            with refusing(method.name):
                criterion = method.criterion(task).to(outputs.device)
                if method.learns and not frozen:
                    check_can_be_saved(criterion)
                check_meta_optimizer(criterion, recipe)
                criterion.prepare(task.train_targets, task.num_classes)
                with torch.no_grad():
                    criterion.losses(outputs, train[0].targets, train[0].index)
                if first_steps:
                    again = method.criterion(task).to(outputs.device)
                    compared.add(method.name, criterion)
                    compared.add(method.name, again)
                    if frozen:
                        again.adjuster.requires_grad_(False)
                    # Compiling takes minutes, and is the same for each.
                    take_first_steps(few, model, recipe, again, compiled=method is methods[0])


def first_batches(task: TaskLike, part: str, loader: Loader, count: int = 1) -> list[Batch]:
    """Return a loader's first batches, all of the epoch if it has fewer.

    Raises:
        InputError: The loader has no batch, or its batches do not fit the task.
    """
    name = f"task {task.name}: {part}"
    check_loader(name, loader)
    with refusing(name):
        batches = list(islice(loader.epoch(0), count)) if len(loader) else []
    require(len(batches) > 0, f"{name}: expected one batch or more in an epoch, got none")
    for batch in batches:
        require(
            isinstance(batch, Batch),
            f"{name}: expected batches that are a metaloss.types.Batch, got {shown(batch)}",
        )
        if task.num_classes is None:
            check_finite(name, batch.targets)
        else:
            check_labels(name, batch.targets, task.num_classes)
    return batches


def _check_fresh(model: nn.Module, again: nn.Module, task: Excerpt) -> None:
    """Check outputs in training mode, and that two calls return different networks."""
    common = shared(model, again)
    learned = {name for name, p in model.named_parameters() if p.requires_grad}
    before = copied(tensors(model))
    _outputs(model.train(), task)
    after = tensors(model)
    trained = [n for n in common if n in learned or not torch.equal(after[n], before[n])]
    put_back(after, before)
    require(
        not trained,
        "model: expected a function that makes a fresh network in each call, but two calls share "
        f"{', '.join(trained[:1])}; make the layers inside the function",
    )


@torch.no_grad()
def _outputs(model: nn.Module, task: Excerpt) -> Tensor:
    batch = task.train.batches[0]
    with refusing(f"model: expected one that takes inputs {seen(batch.inputs)}, but it says"):
        outputs = model(batch.inputs)
    values = task.num_classes is None
    wanted = batch.targets.shape[-1] if values else task.num_classes
    mode = " in training mode" if model.training else ""
    got = list(outputs.shape) if isinstance(outputs, Tensor) else seen(outputs)
    require(
        got == [len(batch.targets), wanted],
        f"model: expected outputs [batch, {wanted}] for the task's "
        f"{'values' if values else 'classes'}{mode}, got {got}",
    )
    return outputs


def check_specs(
    what: str,
    specs: Sequence[TaskSpec],
    model: Callable[[], nn.Module] | None,
    recipe: Recipe,
) -> None:
    """Raise :class:`~metaloss.checks.InputError` unless the tasks can be run in one experiment.

    There has to be at least one, their names have to make different folders, and each needs a
    network and the same number of epochs.
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
