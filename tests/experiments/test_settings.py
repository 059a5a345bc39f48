"""The settings of runs."""

from __future__ import annotations

import pytest

from metaloss.checks import InputError
from metaloss.experiments import RunSettings
from metaloss.training import Recipe


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seeds": ()}, "seeds: expected one or more different ones"),
        ({"seeds": (1, 1)}, "seeds: expected one or more different ones"),
        ({"seeds": (-1,)}, "seeds: expected a whole number of at least 0"),
        ({"last": 0}, "last: expected a whole number of at least 1"),
        ({"threads": -1}, "threads: expected a whole number of at least 1, got -1"),
        ({"keep_checkpoints": 0}, "keep_checkpoints: expected a whole number of at least 1, got 0"),
        ({"checkpoint_every": 0}, "checkpoint_every: expected a whole number of at least 1"),
    ],
)
def test_bad_settings(settings, message: str) -> None:
    with pytest.raises(InputError, match=message):
        RunSettings(**settings)


def test_the_recipe_evaluates_the_last_epochs() -> None:
    recipe = Recipe(epochs=6, evaluate_last=2)
    RunSettings(last=2).check_recipe(recipe)
    RunSettings(last=9).check_recipe(Recipe(epochs=2, evaluate_last=2))
    with pytest.raises(InputError, match="recipe's 2 epochs that are evaluated, got 3"):
        RunSettings(last=3).check_recipe(recipe)
