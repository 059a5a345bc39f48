"""Training one network on one task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from metaloss.training.multi_task import MultiTaskTraining
from metaloss.training.observe import Observer
from metaloss.training.recipe import Recipe
from metaloss.training.state import TrainState
from metaloss.training.task_training import TaskTraining
from metaloss.types import TaskLike


def train(
    state: TrainState,
    task: TaskLike,
    recipe: Recipe,
    observer: Observer | None = None,
    after_epoch: Callable[[], None] | None = None,
) -> list[dict[str, Any]]:
    """Train to the recipe's end, from wherever ``state`` stands.

    Args:
        state: changed in place.
        task: the data.
        recipe: how to train.
        observer: told of every step and epoch.
        after_epoch: called once an epoch is wholly done.

    Returns:
        One record an epoch.

    Raises:
        InputError: an adjuster to learn and no clean samples, or a loss that is no longer finite.
    """
    trainings = MultiTaskTraining({task.name: TaskTraining(state, task, recipe)})
    return trainings.run(observer, after_epoch)
