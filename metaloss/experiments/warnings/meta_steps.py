"""The number of meta steps that a run will make, and a warning if it is too small."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress

import torch
from torch import nn

from metaloss.experiments.methods import Method
from metaloss.experiments.warnings.settable import settable
from metaloss.training.recipe import Recipe

# The hypergradient of one batch is noisy, and each of the paper's three snapshots gets a third of
# the steps.
FEWEST = 100
# A step of Adam moves a weight by about the learning rate, so N steps move it by at most N times
# that. A new adjuster's last layer has random weights of up to 1 / sqrt(100 hidden units) = 0.1.
# Until the steps add up to as much, what it predicts is partly chance. With the paper's learning
# rate of 1e-3 that takes 100 steps too.
LAST_LAYER = 0.1
# More meta steps than this are not advised: the learning rate is too low.
MOST = 100 * FEWEST


def meta_steps(recipe: Recipe, per_epoch: int) -> int:
    """Return the number of meta steps on one task.

    A run that looks back over several steps may make one fewer in each epoch.

    Example:
        >>> from metaloss.experiments.warnings.meta_steps import meta_steps
        >>> from metaloss.training import Recipe
        >>> meta_steps(Recipe(epochs=16, meta_every=10), per_epoch=20)
        32
    """
    first, last = recipe.warmup_epochs * per_epoch, recipe.epochs * per_epoch
    return math.ceil(last / recipe.meta_every) - math.ceil(first / recipe.meta_every)


def fewest(recipe: Recipe) -> int:
    """Return the number of meta steps below which an adjuster learns little.

    Example:
        >>> from functools import partial
        >>> import torch
        >>> from metaloss.experiments.warnings.meta_steps import fewest
        >>> from metaloss.training import Recipe
        >>> fewest(Recipe(epochs=1, meta_optimizer=partial(torch.optim.Adam, lr=1e-4)))
        1000
    """
    with suppress(Exception):  # a function of the user's own may need the adjuster's parameters
        group = recipe.meta_optimizer([nn.Parameter(torch.zeros(1))]).param_groups[0]
        if "betas" in group and group["lr"] > 0:  # Adam or one of its kind
            return max(FEWEST, math.ceil(LAST_LAYER / group["lr"] - 1e-6))
    return FEWEST


def too_few(
    methods: Sequence[Method],
    recipes: Mapping[str, Recipe],
    per_epoch: Mapping[str, int],
    at_once: int = 1,
) -> list[str]:
    """Return a warning if methods that learn an adjuster will make too few meta steps.

    Args:
        methods: the methods; those that do not learn are left out.
        recipes: the recipe of each task that an adjuster is learned on, by name.
        per_epoch: the number of ordinary steps in an epoch of each task.
        at_once: the number of tasks that share a meta step.

    Returns:
        One line or none.

    Example:
        >>> from metaloss.experiments import Adjusted
        >>> from metaloss.experiments.warnings.meta_steps import too_few
        >>> from metaloss.losses import GCE
        >>> from metaloss.training import Recipe
        >>> methods = [Adjusted(name="A-GCE", loss=GCE())]
        >>> too_few(methods, {"digits": Recipe(epochs=200)}, {"digits": 20})
        []
        >>> (line,) = too_few(methods, {"digits": Recipe(epochs=16)}, {"digits": 20})
        >>> line[:46]
        'A-GCE: expected 100 meta steps or more, got 32'
    """
    learning = [method.name for method in methods if method.learns]
    if not learning:
        return []
    made = sum(meta_steps(recipe, per_epoch[name]) for name, recipe in recipes.items()) // at_once
    recipe = next(iter(recipes.values()))
    wanted = fewest(recipe)
    if made >= wanted:
        return []
    steps = sum(per_epoch.values()) // at_once
    on = f" on {len(recipes)} tasks" if len(recipes) > 1 else ""
    warm = f", {recipe.warmup_epochs} of them warm-up" if recipe.warmup_epochs else ""
    rate = settable("META_LR")
    advice = _advice(recipe, steps, made, wanted)
    if wanted > FEWEST:
        faster = f"a higher learning rate of the meta optimizer {rate}"
        advice = faster if wanted > MOST else f"{advice}, or {faster}"
    return [
        f"{', '.join(learning)}: expected {wanted} meta steps or more, got {made} "
        f"({recipe.epochs} epochs of {steps} steps{on}{warm}, and a meta step every "
        f"{recipe.meta_every}): from so few an adjuster learns little, perhaps the wrong way "
        f"round; set {advice}"
    ]


def _advice(recipe: Recipe, steps: int, made: int, wanted: int) -> str:
    """Return the settings that make enough meta steps; epochs are added only if they have to be."""
    every = recipe.meta_every * made // wanted
    if every >= 1:
        return f"meta_every={every} of the recipe {settable('META_EVERY')}"
    epochs = f"epochs={recipe.warmup_epochs + math.ceil(wanted / steps)}"
    if recipe.meta_every == 1:
        return f"{epochs} of the recipe {settable('EPOCHS')}"
    return f"meta_every=1 and {epochs} of the recipe {settable('META_EVERY', 'EPOCHS')}"
