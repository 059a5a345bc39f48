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
    """Train to the end of the recipe, starting at the step that ``state`` has reached.

    Args:
        state: the state of the training, changed in place.
        task: the data.
        recipe: the training recipe.
        observer: the observer to report steps and epochs to.
        after_epoch: called after each epoch.

    Returns:
        One record per epoch.

    Raises:
        InputError: The adjuster is to be learned but the task has no clean samples, or the loss is
            not finite.
    """
    trainings = MultiTaskTraining({task.name: TaskTraining(state, task, recipe)})
    return trainings.run(observer, after_epoch)
