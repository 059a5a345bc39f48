"""Settings of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from metaloss.arguments import check_arguments
from metaloss.checks import check_at_least, require
from metaloss.machine import chosen_device
from metaloss.training.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Settings that experiments, comparisons and meta-trainings share.

    Args:
        seeds: the random seeds; each method has one run for each.
        last: the number of last epochs whose mean is a run's result.
        device: the device to train on; by default a GPU if there is one.
        threads: the number of CPU threads; torch's own choice by default. One is fastest for
            networks as small as the demo's.
        checkpoint_every: the number of epochs between checkpoints.

    Raises:
        InputError: No seed, the same seed twice, or a number below its minimum.

    Example:
        >>> from metaloss.experiments import RunSettings
        >>> RunSettings(seeds=(0, 1, 2)).last
        5
    """

    seeds: Sequence[int] = (0,)
    last: int = 5
    device: str | None = None
    threads: int | None = None
    checkpoint_every: int = 1

    def __post_init__(self) -> None:
        """Check all of it."""
        check_arguments(self)
        require(
            0 < len(set(self.seeds)) == len(self.seeds),
            f"seeds: expected one or more different ones, such as (0, 1), got {self.seeds!r}",
        )
        for seed in self.seeds:
            check_at_least("seeds", seed, 0)
        check_at_least("last", self.last, 1)
        check_at_least("threads", 1 if self.threads is None else self.threads, 1)
        check_at_least("checkpoint_every", self.checkpoint_every, 1)

    def check_recipe(self, recipe: Recipe) -> None:
        """Raise :class:`~metaloss.InputError` unless a recipe evaluates the last epochs."""
        evaluated = recipe.evaluate_last
        require(
            evaluated is None or evaluated >= min(self.last, recipe.epochs),
            f"last: expected at most the recipe's {evaluated} epochs that are evaluated, "
            f"got {self.last}",
        )

    @property
    def torch_device(self) -> torch.device:
        """The device to train on."""
        return chosen_device(self.device)
