"""Checks of the tasks of one experiment, before any data is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from metaloss.checks import require
from metaloss.experiments.records.names import check_names
from metaloss.training.recipe import Recipe
from metaloss.types import TaskSpec


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
