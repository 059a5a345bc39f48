"""A run's first steps on a few samples, which find errors before the run starts.

Optimizers, schedules and networks are user code, and only a real step shows whether they work
together. They are made by the training code itself, and the network is restored afterwards.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from metaloss.arguments import shown
from metaloss.bilevel.network import trainable
from metaloss.checks import InputError, check_in_range, require
from metaloss.experiments.preflight.restored import tensors_restored
from metaloss.objective import AdjustedLoss
from metaloss.training.multi_task import MultiTaskTraining
from metaloss.training.recipe import Recipe
from metaloss.training.state import TrainState
from metaloss.training.task_training import TaskTraining
from metaloss.types import Batch, Loader, TaskLike
from metaloss.user_errors import as_input_error


@dataclass(frozen=True)
class FewBatches:
    """A loader of batches that have been read already; every epoch is the same."""

    batches: Sequence[Batch]

    @property
    def num_samples(self) -> int:
        """The number of samples in the batches."""
        return sum(len(batch.targets) for batch in self.batches)

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self.batches)

    def epoch(self, number: int) -> Iterator[Batch]:  # noqa: ARG002 - all are the same
        """Return an iterator over the batches."""
        return iter(self.batches)


@dataclass(frozen=True)
class Excerpt:
    """A task's first batches, with the attributes of TaskLike that training reads."""

    name: str
    num_classes: int | None
    train: FewBatches
    meta: Loader | None
    validation: None
    test: FewBatches
    train_targets: Tensor
    flipped: Tensor | None

    @classmethod
    def of(cls, task: TaskLike, train: Sequence[Batch], meta: Sequence[Batch]) -> Excerpt:
        """Return an excerpt of a task with the given batches.

        Args:
            task: the whole task.
            train: the training batches, one or more.
            meta: the clean batches; if empty, the task's own loader is used.
        """
        return cls(
            name=task.name,
            num_classes=task.num_classes,
            train=FewBatches(train),
            meta=FewBatches(meta) if meta else task.meta,
            validation=None,
            test=FewBatches(train),
            train_targets=task.train_targets,
            flipped=task.flipped,
        )


def take_first_steps(
    task: TaskLike,
    model: nn.Module,
    recipe: Recipe,
    criterion: AdjustedLoss,
    *,
    compiled: bool = True,
) -> None:
    """Take the first iterations, up to a meta step if the adjuster has something to learn.

    Args:
        task: the task, or an excerpt of it.
        model: the network; its parameters and buffers are restored.
        recipe: the training recipe.
        criterion: the adjusted loss, changed in place.
        compiled: whether to compile the network if the recipe does.

    Raises:
        Exception: any error that the run would raise in its first steps.
    """
    recipe = replace(recipe, warmup_epochs=0, meta_every=1, max_skipped=1)
    if not compiled:
        recipe = replace(recipe, speed=replace(recipe.speed, compile=None))
    with tensors_restored(model):
        state = TrainState.start(model, criterion, task, recipe)
        trainings = MultiTaskTraining({task.name: TaskTraining(state, task, recipe)})
        for _ in range(recipe.lookahead.steps if recipe.meta_update == "after" else 1):
            trainings.turn([task.name])


def check_optimizers(model: nn.Module, recipe: Recipe) -> None:
    """Make the network's optimizer and schedule, and step the schedule to the end.

    Raises:
        InputError: the optimizer or the schedule cannot be made, or the training loop cannot use
            it.
    """
    held = trainable(model).values()
    optimizer = _optimizer("optimizer", recipe.optimizer, list(held))
    _check_schedule("schedule", recipe.schedule, optimizer, recipe.epochs)


def check_meta_optimizer(criterion: AdjustedLoss, recipe: Recipe) -> None:
    """Check the adjuster's optimizer and schedule, if the adjuster has something to learn.

    Raises:
        InputError: as for :func:`check_optimizers`.
    """
    theta = [p for p in criterion.adjuster.parameters() if p.requires_grad]
    if theta:
        optimizer = _optimizer("meta_optimizer", recipe.meta_optimizer, theta)
        _check_schedule("meta_schedule", recipe.meta_schedule, optimizer, recipe.epochs)


def _optimizer(
    name: str, make: Callable[..., torch.optim.Optimizer], params: Sequence[nn.Parameter]
) -> torch.optim.Optimizer:
    with as_input_error(f"{name}: expected arguments that torch takes, but it says"):
        optimizer = make(iter(params))
    require(
        isinstance(optimizer, torch.optim.Optimizer),
        f"{name}: expected a function that returns an Optimizer of torch's, "
        f"but it returns {shown(optimizer)}",
    )
    given = {id(p) for p in params}
    held = [p for group in optimizer.param_groups for p in group["params"]]
    require(
        all(id(p) in given for p in held),
        f"{name}: expected a new one of the parameters given, but it holds others; "
        "make a new one in each call",
    )
    needed = _needed(optimizer.step)
    require(
        not needed,
        f"{name}: expected one whose step needs no {', '.join(needed)}, "
        f"got {type(optimizer).__name__}",
    )
    return optimizer


def _check_schedule(
    name: str,
    make: Callable[[torch.optim.Optimizer], Any] | None,
    optimizer: torch.optim.Optimizer,
    epochs: int,
) -> None:
    if make is None:
        return
    with as_input_error(f"{name}: expected arguments that torch takes, but it says"):
        schedule = make(optimizer)
    if not callable(getattr(schedule, "step", None)):
        raise InputError(
            f"{name}: expected a function that returns a torch.optim.lr_scheduler, "
            f"but it returns {shown(schedule)}"
        )
    needed = _needed(schedule.step)
    require(
        not needed,
        f"{name}: expected one that is stepped once an epoch without {', '.join(needed)}, "
        f"got {type(schedule).__name__}",
    )
    for epoch in range(1, epochs + 1):
        with as_input_error(
            f"{name}: expected one for {epochs} epochs, but after epoch {epoch} it says"
        ):
            schedule.step()
        for group in optimizer.param_groups:
            where = f"{name}: the learning rate after epoch {epoch}"
            check_in_range(where, float(group["lr"]), low=0.0)


def _needed(function: Callable[..., object]) -> list[str]:
    """Return the names of a function's required arguments."""
    named = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    of = inspect.signature(function).parameters.values()
    return [p.name for p in of if p.default is inspect.Parameter.empty and p.kind in named]
