"""What can be tried before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

import torch
from torch import Tensor, nn

from metaloss.arguments import shown
from metaloss.bilevel.network import copied, put_back
from metaloss.checks import check_at_least, check_finite, check_labels, require, seen
from metaloss.complaints import refusing
from metaloss.training.makers import Distinct, shared, tensors
from metaloss.training.methods import Method
from metaloss.training.recipe import Recipe
from metaloss.training.records import check_names
from metaloss.training.rehearsal import (
    Excerpt,
    check_meta_optimizer,
    check_optimizers,
    nothing_changed,
    rehearse,
)
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
    """Try data, network, optimizers and methods on one batch, with all put back afterwards.

    Args:
        task: the data.
        make: makes a fresh network.
        recipe: how to train.
        methods: each one's criterion is made for the task.
        frozen: nothing will be learned here, not even by a method that learns.
        first_steps: also take the first steps of each method's run, and look whether runs have
            networks and adjusters of their own.

    Raises:
        InputError: data without a batch, a network that does not take it, networks or adjusters of
            different runs that are one and the same, an optimizer or a schedule that cannot be
            made or stepped, or a method that does not go with the task.
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
            f"{method.name}: expected a task with clean samples to meta-train on, got none in "
            f"{task.name}",
        )
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
                check_meta_optimizer(criterion, recipe)
                criterion.prepare(task.train_targets, task.num_classes)
                with torch.no_grad():
                    criterion(outputs, train[0].targets, train[0].index)
                if first_steps:
                    again = method.criterion(task).to(outputs.device)
                    compared.add(method.name, criterion)
                    compared.add(method.name, again)
                    if frozen:
                        again.adjuster.requires_grad_(False)
                    # Compiling takes minutes, and is the same for each.
                    rehearse(few, model, recipe, again, compiled=method is methods[0])


def first_batches(task: TaskLike, part: str, loader: Loader, count: int = 1) -> list[Batch]:
    """A loader's first batches.

    Args:
        task: whose loader it is.
        part: what to call it.
        loader: a source of batches.
        count: how many; an epoch's, if that has fewer.

    Raises:
        InputError: it has none, or what it gives are no batches of such a task.
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
    """Look at outputs in training mode, and at what two networks have in common."""
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
