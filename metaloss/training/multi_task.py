r"""Algorithms 1 and 2 as one loop, over one task or several.

Every ``meta_every`` steps of a network, the adjuster takes a step along the hypergradient (Eq. 10,
11). It does so after the network's step on the adjusted loss (Eq. 12, 13), or before it as printed
in Algorithm 1. A frozen adjuster takes no step, which gives Algorithm 2. Several networks on
several tasks take turns and share one adjuster (Section 4.4).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from metaloss.checks import require
from metaloss.machine import subnormals_as_zero
from metaloss.processes import on_first, rank
from metaloss.seeding import derive, seed_everything
from metaloss.training.observe import Observer
from metaloss.training.owners import Owners
from metaloss.training.recipe import Recipe
from metaloss.training.sampler import TaskSampler
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


class MultiTaskTraining:
    """Several trainings that take turns, and share a meta-learner if they have one.

    Args:
        trainings: the trainings by name; their recipes have the same settings for the adjuster.
        sampler: decides whose turn it is, and whether each process has tasks of its own.

    Raises:
        InputError: there is no training, or the trainings have different meta-learners.
    """

    def __init__(
        self, trainings: Mapping[str, TaskTraining], sampler: TaskSampler | None = None
    ) -> None:
        require(len(trainings) > 0, "trainings: expected one or more, got none")
        self.trainings = dict(trainings)
        self.sampler = sampler or TaskSampler()
        self.owners = Owners(list(trainings), spread=self.sampler.spread)
        first = next(iter(self.trainings.values()))
        self.recipe, self.meta_learner = first.recipe, first.state.meta_learner
        require(
            all(t.state.meta_learner is self.meta_learner for t in self.trainings.values()),
            "trainings: expected one meta-learner for all, got several",
        )

    @property
    def done(self) -> int:
        """The number of ordinary steps done in all trainings."""
        return sum(training.state.step for training in self.trainings.values())

    @property
    def total(self) -> int:
        """The number of ordinary steps of all trainings to the end."""
        return sum(training.total for training in self.trainings.values())

    @property
    def epoch(self) -> int:
        """The number of epochs done, counted in steps of all trainings."""
        return self._epoch(self.done)

    @property
    def epochs_finished(self) -> dict[str | None, int]:
        """The number of finished epochs of each training, by the ``task`` of its records."""
        return {
            name if len(self.trainings) > 1 else None: training.epoch
            for name, training in self.trainings.items()
        }

    @subnormals_as_zero()
    def run(
        self, observer: Observer | None = None, after_epoch: Callable[[], None] | None = None
    ) -> list[dict[str, Any]]:
        """Train to the end, starting at the steps that the trainings have reached.

        Args:
            observer: the observer to report every step and every training's epochs to.
            after_epoch: called each time an epoch's worth of steps of all trainings is done, for
                example to write a checkpoint.

        Returns:
            The records of the trainings' epochs, in the order in which the epochs ended.

        Raises:
            InputError: a loss or a weight is no longer finite.
        """
        observer = observer or Observer()
        records = []
        seed = _first_seed()
        _draw_apart(seed, self.done)
        for names in self._turns():
            before = self.done
            ended = self.turn(names)
            if self.meta_learner is not None:
                for fraction in self._reached(before):
                    self.meta_learner.keep_snapshot(fraction)
            observer.step(self.done)
            for name in ended:
                record = self.owners.record(name, self.trainings[name].finish_epoch)
                records.append({"task": name, **record} if len(self.trainings) > 1 else record)
                observer.epoch(records[-1])
            if self.epoch > self._epoch(before):
                for schedule in self.meta_learner.schedules if self.meta_learner else ():
                    schedule.step()
                for training in self.trainings.values():
                    training.forget()
                self.owners.share(self.trainings)
                if after_epoch is not None:
                    for training in self.trainings.values():  # it may be inside its own epoch
                        training.check()
                    after_epoch()
                _draw_apart(seed, self.done)
        return records

    def turn(self, names: Sequence[str]) -> list[str]:
        """Take one iteration of some of the trainings, and the adjuster's step if it is due.

        Args:
            names: the names of the trainings.

        Returns:
            The names of the trainings whose epoch has ended.
        """
        own = {name: self.trainings[name] for name in names if self.owners.mine(name)}
        with self.owners.apart():
            for training in own.values():
                training.draw()
        due = {name: training for name, training in own.items() if training.due}
        if self.recipe.meta_update == "before":
            self._learn(due)
        with self.owners.apart():
            ended = [name for name in names if self._stepped(name)]
        if self.recipe.meta_update == "after":
            self._learn({name: training for name, training in due.items() if training.ready})
        return ended

    def _stepped(self, name: str) -> bool:
        """Take a task's step, or count it where another process takes it."""
        training = self.trainings[name]
        return training.step() if self.owners.mine(name) else training.count_step()

    def state_dict(self) -> dict[str, Any]:
        """Return the states of all trainings."""
        return {name: training.state_dict() for name, training in self.trainings.items()}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restore the result of :meth:`state_dict`; call this before :meth:`run`."""
        require(
            saved.keys() == self.trainings.keys(),
            f"tasks: expected {', '.join(self.trainings)}, got {', '.join(saved)}",
        )
        for name, training in self.trainings.items():
            training.load_state_dict(saved[name])

    def _turns(self) -> Iterator[tuple[str, ...]]:
        """Return the remaining turns; a resumed run skips the turns that it has done."""
        turns = self.sampler.turns({name: t.total for name, t in self.trainings.items()})
        passed = 0
        while passed < self.done:
            passed += len(next(turns))
        return turns

    def _learn(self, due: Mapping[str, TaskTraining]) -> None:
        if self.meta_learner is None or not (due or self.owners.spread):
            return
        with self.owners.apart():
            own = {name: training.meta_gradient() for name, training in due.items()}
        began = time.perf_counter()
        device = self.meta_learner.adjuster.low.device
        meta_gradients = self.owners.gathered(own, device)
        if meta_gradients:
            self.meta_learner.learn(meta_gradients)
        for training in due.values():
            training.count((time.perf_counter() - began) / len(due))

    def _reached(self, before: int) -> list[float]:
        """Return the fractions of training reached since step ``before``."""
        # 0.55 * 100 is 55.000000000000007, and means 55.
        steps = {f: math.ceil(f * self.total - 1e-9) for f in self.recipe.snapshots}
        return [fraction for fraction, step in steps.items() if before < step <= self.done]

    def _epoch(self, done: int) -> int:
        return done * self.recipe.epochs // self.total


@on_first
def _first_seed() -> int:
    """Return the seed of the first process's random numbers."""
    return torch.initial_seed()


def _draw_apart(seed: int, step: int) -> None:
    """Let the other processes draw other random numbers than the first, which draws as it would.

    They begin anew at each checkpoint, which has the state of the first process alone. So a
    resumed run draws what an uninterrupted one does, with any number of processes.

    Args:
        seed: of the first process.
        step: the number of steps done.
    """
    if rank() > 0:
        seed_everything(derive(seed, "process", str(rank()), step))
