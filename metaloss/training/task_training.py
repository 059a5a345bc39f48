"""One network's training on one task, a step at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from torch import Tensor

from metaloss.kinds import CLASSIFICATION
from metaloss.losses import plain_loss
from metaloss.objective import AdjustedLoss
from metaloss.processes import share
from metaloss.training.epoch import Epoch
from metaloss.training.epoch_checks import EpochChecks
from metaloss.training.epoch_metrics import EpochMetrics
from metaloss.training.evaluate import Evaluation, evaluate
from metaloss.training.meta_checks import check_meta
from metaloss.training.meta_learner import MetaGradient
from metaloss.training.meta_updates import AfterStep, BeforeStep, MetaUpdates
from metaloss.training.recipe import Recipe
from metaloss.training.state import TrainState
from metaloss.training.steps import (
    check_finite_loss,
    check_finite_weights,
    check_some_taken,
    meta_gradient,
    ordinary_step,
)
from metaloss.training.streams import process_stream, windows
from metaloss.types import Batch, TaskLike, has_checked_test


class TaskTraining:
    """One network's training on one task, a step at a time, starting at the step of its state.

    Each iteration calls ``draw`` and then ``step``. If a hypergradient is ``due``,
    ``meta_gradient`` is called before or after ``step``, as the recipe's ``meta_update`` says.
    ``finish_epoch`` is called after an epoch's last step.

    Args:
        state: the state of the training, changed in place.
        task: the data.
        recipe: the training recipe.

    Attributes:
        confusion: the test samples by true class and prediction, of the evaluation after the last
            epoch; ``None`` before it, and for regression.

    Raises:
        InputError: there is an adjuster to learn and the task has no meta samples, or samples that
            the meta loss does not take; or the lookback covers more steps than an epoch has.
    """

    def __init__(self, state: TrainState, task: TaskLike, recipe: Recipe) -> None:
        if state.meta_learner is not None:
            check_meta(task, recipe)
        self.state = state
        self.task = task
        self.recipe = recipe
        self.per_epoch = len(task.train)
        self.total = self.per_epoch * recipe.epochs
        self._meta: MetaUpdates = BeforeStep(recipe)
        if state.meta_learner is not None and recipe.meta_update == "after":
            self._meta = AfterStep(recipe, self.per_epoch)
        state.forward = recipe.speed.prepare(state.model, state.engine)
        self._device = next(state.model.parameters()).device
        self._flipped = None if task.flipped is None else task.flipped.to(self._device)
        self._kind = state.criterion.loss.kind
        self._warm_up = AdjustedLoss.fixed(plain_loss(self._kind))
        self._window: list[Batch] = []
        self.confusion: Tensor | None = None
        self._begin()

    @property
    def epoch(self) -> int:
        """The epoch of the next step, counted from 0."""
        return self.state.step // self.per_epoch

    @property
    def warming(self) -> bool:
        """Whether the next step belongs to the warm-up."""
        return self.epoch < self.recipe.warmup_epochs

    @property
    def due(self) -> bool:
        """Whether a hypergradient is due in this iteration."""
        return self._learning and self._meta.due(self.state.step)

    @property
    def ready(self) -> bool:
        """Whether no step was skipped that a hypergradient, if it is due, goes through."""
        return self._meta.ready

    def draw(self) -> None:
        """Draw the next batches."""
        with self._timed():
            self.state.criterion.progress(self.state.step / self.total)
            self._window = next(self._windows)

    def meta_gradient(self) -> MetaGradient:
        """Compute the hypergradient (Eq. 10, 11): a lookahead before the step, a lookback after."""
        with self._timed():
            solution = self._meta.solve(self.state, self._window, next(self._meta_batches))
            now = self.recipe.max_skipped > 0
            return meta_gradient(self.state, solution, self._current, check_now=now)

    def step(self) -> bool:
        """Take the ordinary step (Eq. 12).

        Returns:
            Whether this was the last step of an epoch.
        """
        state = self.state
        (batch, *_) = self._window
        criterion = self._warm_up if self.warming else state.criterion
        with self._timed(), self._meta.watching(state, batch, learning=self._learning):
            ordinary_step(
                state,
                batch,
                self._current,
                criterion,
                clip=self.recipe.clip,
                max_skipped=self.recipe.max_skipped,
            )
        return self.count_step()

    def count_step(self) -> bool:
        """Count a step, this process's own or another's; return whether it ends an epoch."""
        self.state.step += 1
        return self.state.step % self.per_epoch == 0

    def check(self) -> None:
        """Raise an error if the steps so far have left something that must not be saved.

        Raises:
            InputError: a weight is not finite; or, with ``max_skipped`` 0, a step was not finite,
                or a hypergradient not consistent.
        """
        if self.recipe.max_skipped == 0:
            self._current.checks.check_unread()
        check_finite_weights(self.state)

    def forget(self) -> None:
        """Forget the steps to look back over, because a saved state does not contain them."""
        self._meta.forget()

    def count(self, seconds: float) -> None:
        """Add time that was spent on this training elsewhere."""
        self._seconds += seconds

    def finish_epoch(self) -> dict[str, Any]:
        """Evaluate the network and step the schedules.

        Returns:
            The epoch's record.

        Raises:
            InputError: the loss or a weight is no longer finite.
        """
        record = self._record()
        for schedule in self.state.schedules:
            schedule.step()
        if self.state.step == self.total:
            self.state.criterion.progress(1.0)
        else:
            self._begin(self._current.checks.next_epoch())
        return record

    def state_dict(self) -> dict[str, Any]:
        """Return the state, with the metrics and the time of the unfinished epoch."""
        return {
            "state": self.state.state_dict(),
            "metrics": self._current.state_dict(),
            "seconds": self._seconds,
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restore the result of :meth:`state_dict`; call this before the first :meth:`draw`."""
        self.state.load_state_dict(saved["state"])
        self._begin()
        self._current.load_state_dict(saved["metrics"], self._device)
        self._seconds = saved["seconds"]

    @property
    def _learning(self) -> bool:
        """Whether the adjuster learns in the epoch of the next step."""
        return self.state.meta_learner is not None and not self.warming

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Add the time spent inside; other trainings may run between the parts of a step."""
        began = time.perf_counter()
        yield
        self.count(time.perf_counter() - began)

    def _begin(self, checks: EpochChecks | None = None) -> None:
        names = () if self.warming else self.state.criterion.loss.hyperparameters
        metrics = EpochMetrics(names, self._flipped, self._kind)
        self._current = Epoch(metrics, checks or EpochChecks())
        self._seconds = 0.0

    @cached_property
    def _windows(self) -> Iterator[list[Batch]]:
        train = process_stream(self.task.train, self.state.step, f"{self.task.name}: train")
        batches = map(self.recipe.speed.laid_out, train)
        learns = self.state.meta_learner is not None
        return windows(batches, self._meta.batches if learns else 1)

    @cached_property
    def _meta_batches(self) -> Iterator[Batch]:
        assert self.task.meta is not None
        meta = process_stream(self.task.meta, self.state.meta_step, f"{self.task.name}: meta")
        return map(self.recipe.speed.laid_out, meta)

    def _record(self) -> dict[str, Any]:
        began = time.perf_counter()
        state, recipe = self.state, self.recipe
        share(state.model.buffers())  # data parallelism keeps those of process 0 too
        means = self._current.metrics.means()
        self.check()
        check_some_taken(means, state.step, self.per_epoch)
        check_finite_loss(means["train_loss"], state.step - 1)
        self._current.checks.check_in_a_row(recipe.max_skipped)
        record = {
            "epoch": state.step // self.per_epoch,
            "step": state.step,
            "meta_step": state.meta_step,
            "lr": state.optimizer.param_groups[0]["lr"],
            **means,
        }
        if recipe.evaluates(record["epoch"]):
            last = state.step == self.total and self._kind == CLASSIFICATION
            found = evaluate(state.model, self.task.test, self._kind, confusion=last)
            self.confusion = found.confusion
            record |= self._recorded("test", found)
            if not has_checked_test(self.task):
                record["test_unchecked"] = True
            if self.task.validation is not None:
                found = evaluate(state.model, self.task.validation, self._kind)
                record |= self._recorded("validation", found)
        record |= self._current.checks.record()
        record["seconds"] = self._seconds + time.perf_counter() - began
        record["samples_per_second"] = self._current.metrics.samples / record["seconds"]
        return record

    def _recorded(self, name: str, found: Evaluation) -> dict[str, float]:
        return {f"{name}_{self._kind.metric.name}": found.score, f"{name}_loss": found.loss}
