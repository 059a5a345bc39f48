"""What runs are unlikely to learn, which shows before their first step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from metaloss.experiments.methods import Method
from metaloss.experiments.warnings.meta_steps import too_few
from metaloss.experiments.warnings.noise_limit import too_noisy
from metaloss.training.recipe import Recipe
from metaloss.types import TaskLike


def warned_before(
    methods: Sequence[Method],
    tasks: Mapping[str, TaskLike],
    recipes: Mapping[str, Recipe],
    at_once: int = 1,
) -> list[str]:
    """Return warnings of too few meta steps, and of meta samples with too much noise.

    Args:
        methods: the methods; those that do not learn are left out.
        tasks: the tasks that an adjuster is learned on together, by name.
        recipes: the recipe of each.
        at_once: the number of tasks that share a meta step.

    Returns:
        Lines that begin with the names of the methods that they are about.
    """
    per_epoch = {name: len(task.train) for name, task in tasks.items()}
    lines = too_few(methods, recipes, per_epoch, at_once)
    for name, task in tasks.items():
        where = f"{name}: " if len(tasks) > 1 else ""
        lines += [f"{where}{line}" for line in too_noisy(task, methods)]
    return lines
