"""Settings of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from metaloss.adjusters.scheduled import check_until
from metaloss.arguments import check_arguments
from metaloss.checks import check_at_least, require
from metaloss.machine import chosen_device
from metaloss.seeding import check_seeds
from metaloss.training.engine import Engine
from metaloss.training.recipe import Recipe

ONLY_THE_END = (1.0,)


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
        keep_checkpoints: the number of last checkpoints to keep while a run is going; if the last
            is damaged, a resumed run goes on from the one before.
        record_samples: the fractions of training, ascending to 1, after which the margin, loss,
            hyperparameters and weight of every training sample are written to the run's folder;
            see :func:`~metaloss.experiments.recorded`. By default only at the end. A meta-training
            records only its held-out runs.
        engine: what the runs are trained on: this process by default, or several processes or
            mixed precision, by :class:`~metaloss.training.FabricEngine`, which then chooses the
            device.

    Raises:
        InputError: No seed, the same seed twice, a number below its minimum, or fractions that do
            not ascend to 1.

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
    keep_checkpoints: int = 2
    record_samples: Sequence[float] = ONLY_THE_END
    engine: Engine = field(default_factory=Engine)

    def __post_init__(self) -> None:
        """Check all of it."""
        check_arguments(self)
        check_seeds(self.seeds)
        check_at_least("last", self.last, 1)
        check_at_least("threads", 1 if self.threads is None else self.threads, 1)
        check_at_least("checkpoint_every", self.checkpoint_every, 1)
        check_at_least("keep_checkpoints", self.keep_checkpoints, 1)
        check_until("record_samples", self.record_samples)

    def check_recipe(self, recipe: Recipe) -> None:
        """Raise :class:`~metaloss.InputError` unless a recipe has what these settings ask for.

        It evaluates the last epochs, and its warm-up is over when samples are first recorded.
        """
        evaluated = recipe.evaluate_last
        require(
            evaluated is None or evaluated >= min(self.last, recipe.epochs),
            f"last: expected at most the recipe's {evaluated} epochs that are evaluated, "
            f"got {self.last}",
        )
        first = min(self.recorded_epochs(recipe.epochs))
        require(
            first > recipe.warmup_epochs,
            f"record_samples: expected times after the warm-up of {recipe.warmup_epochs} epochs, "
            f"got {self.record_samples[0]:.3g} of training, which is epoch {first}",
        )

    def recorded_epochs(self, epochs: int) -> tuple[int, ...]:
        """Return the epochs after which samples are recorded, each the nearest to its fraction.

        Args:
            epochs: the number of epochs of a run.

        Example:
            >>> from metaloss.experiments import RunSettings
            >>> RunSettings(record_samples=(0.333, 0.667, 1.0)).recorded_epochs(120)
            (40, 80, 120)
        """
        nearest = (max(1, round(fraction * epochs)) for fraction in self.record_samples)
        return tuple(dict.fromkeys(nearest))

    @property
    def identity(self) -> dict[str, Any]:
        """What of these settings belongs to a run's identity, in plain values."""
        asked = [float(fraction) for fraction in self.record_samples]
        return {
            "last": self.last,
            **({} if asked == list(ONLY_THE_END) else {"record_samples": asked}),
        }

    @property
    def torch_device(self) -> torch.device:
        """The device to train on."""
        return self.engine.device or chosen_device(self.device)
