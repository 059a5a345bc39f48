"""A dry run: data, network, optimizers and methods together, on one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from metaloss.checks import require, seen
from metaloss.experiments.methods import Method
from metaloss.experiments.preflight.batches import first_batches
from metaloss.experiments.preflight.distinct import Distinct, shared
from metaloss.experiments.preflight.first_steps import (
    Excerpt,
    check_meta_optimizer,
    check_optimizers,
    take_first_steps,
)
from metaloss.experiments.preflight.restored import nothing_changed, tensors, tensors_restored
from metaloss.pretrained.files import check_can_be_saved
from metaloss.training.meta_checks import check_meta
from metaloss.training.recipe import Recipe
from metaloss.types import Batch, TaskLike
from metaloss.user_errors import as_input_error


def dry_run(
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
    learning = [] if frozen else [method for method in methods if method.learns]
    few = _excerpt(task, recipe, learning)
    batch = few.train.batches[0]
    with nothing_changed(batch.targets.device):
        model = make()
        outputs = _outputs(model.eval(), few)
        check_optimizers(model, recipe)
        if first_steps:
            _check_fresh(model, make(), few)
        compared = Distinct()
        for method in methods:
            with as_input_error(method.name):
                criterion = method.criterion(task).to(outputs.device)
                if method in learning:
                    check_can_be_saved(criterion)
                check_meta_optimizer(criterion, recipe)
                criterion.prepare(task.train_targets, task.num_classes)
                with torch.no_grad():
                    criterion.losses(outputs, batch.targets, batch.index)
                if first_steps:
                    again = method.criterion(task).to(outputs.device)
                    compared.add(method.name, criterion)
                    compared.add(method.name, again)
                    if frozen:
                        again.adjuster.requires_grad_(False)
                    # Compiling takes minutes, and is the same for each.
                    take_first_steps(few, model, recipe, again, compiled=method is methods[0])


def _excerpt(task: TaskLike, recipe: Recipe, learning: Sequence[Method]) -> Excerpt:
    """Read the task's first batches, and check that it has what the learning methods need."""
    train = first_batches(task, "train", task.train, recipe.lookahead.steps if learning else 1)
    first_batches(task, "test", task.test)
    if task.validation is not None:
        first_batches(task, "validation", task.validation)
    require(
        len(task.train_targets) == task.train.num_samples,
        f"task {task.name}: expected a target for each of {task.train.num_samples} training "
        f"samples, got {len(task.train_targets)}",
    )
    meta: list[Batch] = []
    if learning:
        with as_input_error(learning[0].name):
            check_meta(task, recipe)
        if task.meta is not None:
            meta = first_batches(task, "meta", task.meta)
    return Excerpt.of(task, train, meta)


def _check_fresh(model: nn.Module, again: nn.Module, task: Excerpt) -> None:
    """Check outputs in training mode, and that two calls return different networks."""
    common = shared(model, again)
    learned = {name for name, p in model.named_parameters() if p.requires_grad}
    with tensors_restored(model) as before:
        _outputs(model.train(), task)
        after = tensors(model)
        trained = [n for n in common if n in learned or not torch.equal(after[n], before[n])]
    require(
        not trained,
        "model: expected a function that makes a fresh network in each call, but two calls share "
        f"{', '.join(trained[:1])}; make the layers inside the function",
    )


@torch.no_grad()
def _outputs(model: nn.Module, task: Excerpt) -> Tensor:
    batch = task.train.batches[0]
    with as_input_error(f"model: expected one that takes inputs {seen(batch.inputs)}, but it says"):
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
