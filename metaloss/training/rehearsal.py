"""The first steps of a run, taken beforehand on what is thrown away.

Optimizers, schedules and networks are anybody's: whether they go together, nothing tells but a
step. It is taken by the code that trains, with all that it changes put back.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from metaloss.arguments import shown
from metaloss.bilevel.network import copied, put_back
from metaloss.checks import InputError, check_in_range, require
from metaloss.complaints import refusing
from metaloss.objective import AdjustedLoss
from metaloss.randomness import randomness_restored
from metaloss.training.makers import tensors
from metaloss.training.multi_task import MultiTaskTraining
from metaloss.training.recipe import Recipe
from metaloss.training.state import TrainState
from metaloss.training.task_training import TaskTraining
from metaloss.types import Batch, Loader, TaskLike


@dataclass(frozen=True)
class FewBatches:
    """A loader of batches that have been read already: each epoch is the same."""

    batches: Sequence[Batch]

    @property
    def num_samples(self) -> int:
        """Samples in them."""
        return sum(len(batch.targets) for batch in self.batches)

    def __len__(self) -> int:
        """How many they are."""
        return len(self.batches)

    def epoch(self, number: int) -> Iterator[Batch]:  # noqa: ARG002 - all are the same
        """All of them."""
        return iter(self.batches)


@dataclass(frozen=True)
class Excerpt:
    """A task's first batches; what training reads of a :class:`~metaloss.types.TaskLike`."""

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
        """These batches of a task.

        Args:
            task: the whole of it.
            train: one or more.
            meta: clean ones; the task's own if there are none here.
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


@contextmanager
def nothing_changed(device: torch.device) -> Iterator[None]:
    """Put the random generators back afterwards; warnings are for the run itself to give."""
    with randomness_restored({device}), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def rehearse(
    task: TaskLike,
    model: nn.Module,
    recipe: Recipe,
    criterion: AdjustedLoss,
    *,
    compiled: bool = True,
) -> None:
    """Take the first iterations, up to a meta step where there is something to learn.

    Args:
        task: an excerpt of it will do.
        model: its parameters and buffers are put back.
        recipe: how to train.
        criterion: is changed.
        compiled: compile the network, if the recipe does.

    Raises:
        Exception: whatever the run would raise at its first step.
    """
    recipe = replace(recipe, warmup_epochs=0, meta_every=1)
    if not compiled:
        recipe = replace(recipe, speed=replace(recipe.speed, compile=None))
    before = copied(tensors(model))
    state = TrainState.start(model, criterion, task, recipe)
    trainings = MultiTaskTraining({task.name: TaskTraining(state, task, recipe)})
    for _ in range(recipe.lookahead.steps if recipe.meta_update == "after" else 1):
        trainings.turn([task.name])
    put_back(tensors(model), before)


def check_optimizers(model: nn.Module, recipe: Recipe) -> None:
    """Make the network's optimizer, and step its schedule to the end.

    Args:
        model: is left as it is.
        recipe: what makes them.

    Raises:
        InputError: one cannot be made, or used as the training loop uses it.
    """
    held = [p for p in model.parameters() if p.requires_grad]
    require(len(held) > 0, "model: expected a trainable parameter, got none")
    optimizer = _optimizer("optimizer", recipe.optimizer, held)
    _check_schedule("schedule", recipe.schedule, optimizer, recipe.epochs)


def check_meta_optimizer(criterion: AdjustedLoss, recipe: Recipe) -> None:
    """The same for the adjuster's optimizer, where it has something to learn.

    Args:
        criterion: is left as it is.
        recipe: what makes them.

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
    with refusing(f"{name}: expected arguments that torch takes, but it says"):
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
        "make it anew in each call",
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
    with refusing(f"{name}: expected arguments that torch takes, but it says"):
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
        with refusing(f"{name}: expected one for {epochs} epochs, but after epoch {epoch} it says"):
            schedule.step()
        for group in optimizer.param_groups:
            where = f"{name}: the learning rate after epoch {epoch}"
            check_in_range(where, float(group["lr"]), low=0.0)


def _needed(function: Callable[..., object]) -> list[str]:
    """The arguments that it cannot do without."""
    named = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    of = inspect.signature(function).parameters.values()
    return [p.name for p in of if p.default is inspect.Parameter.empty and p.kind in named]
