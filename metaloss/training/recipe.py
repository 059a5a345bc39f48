"""The settings of the training of a network and its adjuster."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import nn

from metaloss.adjusters.scheduled import check_until
from metaloss.arguments import check_arguments
from metaloss.bilevel import Clip, Lookahead, Lookback
from metaloss.checks import check_at_least, require
from metaloss.training.speed import Speed


def paper_sgd(params: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Make the classifier's SGD of Section 4.1: 0.1, momentum 0.9, weight decay 5e-4."""
    return torch.optim.SGD(params, lr=0.1, momentum=0.9, weight_decay=5e-4)


def paper_adam(params: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Make the adjuster's Adam of Section 4.1: 1e-3, weight decay 1e-4."""
    return torch.optim.Adam(params, lr=1e-3, weight_decay=1e-4)


META_UPDATES = ("after", "before")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The settings of a training; the defaults are those of Section 4.1.

    Args:
        epochs: the number of passes over the training set.
        optimizer: makes the network's optimizer from its parameters; SGD with a learning rate of
            0.1, momentum 0.9 and weight decay 5e-4, if not given.
        schedule: makes a ``torch.optim.lr_scheduler`` for this optimizer, stepped once per epoch.
        warmup_epochs: the number of epochs trained with the plain loss (cross entropy in
            classification), without meta steps, before the method begins.
        meta_every: T_meta, the number of ordinary steps per meta step.
        meta_update: when the adjuster is updated. ``"after"`` an ordinary step, which is the step
            that is differentiated; or ``"before"`` it, as in Algorithm 1, where a rehearsed step is
            differentiated, at the cost of one more forward and backward pass.
        meta_optimizer: makes the adjuster's optimizer from its parameters; Adam with a learning
            rate of 1e-3 and weight decay 1e-4, if not given.
        meta_schedule: makes a scheduler for this optimizer, stepped once per epoch.
        lookahead: how the hypergradient is computed, for both values of ``meta_update``, and the
            meta loss.
        allow_noisy_meta: whether a meta loss that is not noise-tolerant, such as cross entropy,
            may take meta samples whose targets nobody checked.
        clip: how gradients are clipped in every ordinary step and in the lookahead; not at all if
            not given.
        max_skipped: the number of steps in a row that is too many to skip. A step whose loss,
            gradient or hypergradient is not finite is skipped and counted; as many in a row end
            the run, for then it is not a bad batch that is the cause. 1 ends it at the first. With
            0 nothing is read before the end of an epoch, so that in one process, without a
            gradient scaler, no step waits for an accelerator; what is not finite, or not
            consistent, ends the run there, before it is saved.
        speed: the options that make training faster.
        snapshots: the fractions of training at which the adjuster is kept for Algorithm 2,
            ascending to 1.
        evaluate_last: the number of last epochs to evaluate after; all epochs if not given.

    Raises:
        InputError: an argument has another type, or a count is below its minimum; the warm-up is
            not shorter than the training; the snapshots do not ascend to 1; the lookahead has
            another ``clip``; or it has a ``transform`` although ``meta_update`` is ``"after"``.

    Example:
        >>> from metaloss.training import Recipe
        >>> Recipe(epochs=30).meta_every
        10
    """

    epochs: int
    optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer] = paper_sgd
    schedule: Callable[[torch.optim.Optimizer], Any] | None = None
    warmup_epochs: int = 0
    meta_every: int = 10
    meta_update: str = "after"
    meta_optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer] = paper_adam
    meta_schedule: Callable[[torch.optim.Optimizer], Any] | None = None
    lookahead: Lookahead = field(default_factory=Lookahead)
    allow_noisy_meta: bool = False
    clip: Clip | None = None
    max_skipped: int = field(default=10, metadata={"identity": False})
    speed: Speed = field(default_factory=Speed)
    snapshots: tuple[float, ...] = (1 / 3, 2 / 3, 1.0)
    evaluate_last: int | None = None

    def __post_init__(self) -> None:
        """Check the settings."""
        check_arguments(self)
        check_at_least("epochs", self.epochs, 1)
        check_at_least("warmup_epochs", self.warmup_epochs, 0)
        check_at_least("meta_every", self.meta_every, 1)
        check_at_least("max_skipped", self.max_skipped, 0)
        require(
            self.meta_update in META_UPDATES,
            f"meta_update: expected {' or '.join(META_UPDATES)}, got {self.meta_update!r}",
        )
        require(
            self.warmup_epochs < self.epochs,
            f"warmup_epochs: expected fewer than the {self.epochs} epochs of training, got "
            f"{self.warmup_epochs} (gin: WARMUP_EPOCHS, EPOCHS)",
        )
        if self.evaluate_last is not None:
            check_at_least("evaluate_last", self.evaluate_last, 1)
        check_until("snapshots", self.snapshots)
        require(
            self.lookahead.clip in {None, self.clip},
            f"clip: expected the lookahead to clip as the ordinary steps do, {self.clip!r}, got "
            f"{self.lookahead.clip!r}; set Recipe.clip alone",
        )
        require(
            self.lookahead.transform is None or self.meta_update == "before",
            "lookahead: expected one without a transformation, because the ordinary step is made "
            "by the optimizer; to look ahead with another step, set meta_update='before'",
        )

    def lookback(self) -> Lookback:
        """Return a new lookback over ordinary steps, with the lookahead's settings."""
        return Lookback(
            self.lookahead.steps,
            self.lookahead.meta_loss,
            self.lookahead.hold_norm,
            clip=self.clip,
            strategy=self.lookahead.strategy,
            keep=self.speed.keep_activations,
            autocast=self.lookahead.autocast,
        )

    @cached_property
    def clipped_lookahead(self) -> Lookahead:
        """The lookahead, with the clipping of the ordinary steps."""
        return replace(self.lookahead, clip=self.clip)

    def learning_as(self, other: Recipe) -> Recipe:
        """Return this recipe with another recipe's settings for the training of the adjuster.

        These are ``meta_update``, ``meta_optimizer``, ``meta_schedule`` and ``snapshots``.

        Args:
            other: the recipe of the run that learns the adjuster.

        Example:
            >>> from metaloss.training import Recipe
            >>> own, run = Recipe(epochs=30, meta_every=2), Recipe(epochs=30, snapshots=(0.5, 1.0))
            >>> recipe = own.learning_as(run)
            >>> recipe.meta_every, recipe.snapshots
            (2, (0.5, 1.0))
        """
        return replace(
            self,
            meta_update=other.meta_update,
            meta_optimizer=other.meta_optimizer,
            meta_schedule=other.meta_schedule,
            snapshots=other.snapshots,
        )

    def evaluates(self, epoch: int) -> bool:
        """Return whether the network is evaluated after an epoch, counted from 1."""
        return self.evaluate_last is None or epoch > self.epochs - self.evaluate_last
