"""When a hypergradient is due, and through which training steps it goes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from metaloss.bilevel import Solution
from metaloss.checks import require
from metaloss.training.recipe import Recipe
from metaloss.training.state import TrainState
from metaloss.types import Batch


class MetaUpdates(ABC):
    """The hypergradients of one training; ``meta_update`` of its recipe chooses the class.

    Attributes:
        batches: the training batches that an iteration draws, its own and those of later ones.
    """

    batches: int

    @abstractmethod
    def due(self, step: int) -> bool:
        """Return whether a hypergradient is due in the iteration of this step, from 0."""

    @property
    @abstractmethod
    def ready(self) -> bool:
        """Whether no step was skipped that a hypergradient, if it is due, goes through."""

    @abstractmethod
    def watching(
        self, state: TrainState, batch: Batch, *, learning: bool
    ) -> AbstractContextManager[None]:
        """Return the block in which the ordinary step on a batch is made.

        Args:
            state: the state of the training.
            batch: the batch of the step.
            learning: whether the adjuster learns in this iteration's epoch.
        """

    @abstractmethod
    def solve(self, state: TrainState, window: Sequence[Batch], meta_batch: Batch) -> Solution:
        """Compute the hypergradient (Eq. 10, 11)."""

    @abstractmethod
    def forget(self) -> None:
        """Forget the steps that were watched, because a saved state does not contain them."""


class BeforeStep(MetaUpdates):
    """A lookahead before the ordinary step, as in Algorithm 1."""

    def __init__(self, recipe: Recipe) -> None:
        self._lookahead = recipe.clipped_lookahead
        self._every = recipe.meta_every
        self.batches = recipe.lookahead.steps

    def due(self, step: int) -> bool:
        """Return whether a hypergradient is due: at every ``meta_every``-th step."""
        return step % self._every == 0

    @property
    def ready(self) -> bool:
        """Always, as nothing is watched."""
        return True

    def watching(
        self,
        state: TrainState,  # noqa: ARG002
        batch: Batch,  # noqa: ARG002
        *,
        learning: bool,  # noqa: ARG002
    ) -> AbstractContextManager[None]:
        """Return a block that does nothing."""
        return nullcontext()

    def solve(self, state: TrainState, window: Sequence[Batch], meta_batch: Batch) -> Solution:
        """Rehearse the steps on the window's batches, and differentiate them."""
        state.model.train()
        arguments = state.model, state.optimizer, state.criterion
        return self._lookahead.solve(*arguments, window, meta_batch)

    def forget(self) -> None:
        """Do nothing, as nothing is watched."""


class AfterStep(MetaUpdates):
    """A lookback after the ordinary step.

    It covers the same K steps that a lookahead would rehearse. So the hypergradient comes K - 1
    steps later than with :class:`BeforeStep`.

    Args:
        recipe: the training recipe.
        per_epoch: the steps of an epoch. Training may stop at its end, and no lookback reaches
            beyond it.

    Raises:
        InputError: the lookback covers more steps than an epoch has.
    """

    def __init__(self, recipe: Recipe, per_epoch: int) -> None:
        self._lookback = recipe.lookback()
        self._every = recipe.meta_every
        self.batches = 1
        require(
            self._lookback.steps <= per_epoch,
            f"lookahead: expected no more steps to look back over than the {per_epoch} of an "
            f"epoch, got {self._lookback.steps}",
        )

    def due(self, step: int) -> bool:
        """Return whether a hypergradient is due after this step, if the step is watched."""
        return self._until_due(step) == 0 and self._lookback.watched >= self._lookback.steps - 1

    @property
    def ready(self) -> bool:
        """Whether all steps to look back over were watched, the last one too."""
        return self._lookback.watched == self._lookback.steps

    def watching(
        self, state: TrainState, batch: Batch, *, learning: bool
    ) -> AbstractContextManager[None]:
        """Watch the step if the next hypergradient looks back over it, else forget the others."""
        if not learning or self._until_due(state.step) >= self._lookback.steps:
            self._lookback.forget()
            return nullcontext()
        state.model.train()
        arguments = state.model, state.optimizer, state.criterion, batch
        return self._lookback.step(*arguments, scaler=state.engine.scaler, may_skip=True)

    def solve(
        self,
        state: TrainState,  # noqa: ARG002 - the steps were watched
        window: Sequence[Batch],  # noqa: ARG002
        meta_batch: Batch,
    ) -> Solution:
        """Differentiate the steps that were watched."""
        return self._lookback.solve(meta_batch)

    def forget(self) -> None:
        """Forget the steps that were watched."""
        self._lookback.forget()

    def _until_due(self, step: int) -> int:
        """Return the number of steps before the next one after which a hypergradient is due."""
        return (self._lookback.steps - 1 - step) % self._every
