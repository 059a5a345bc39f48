r"""Algorithms 1 and 2 as one loop, over one task or many.

Every ``meta_every`` steps of a network the adjuster takes a step along the hypergradient (Eq. 10,
11), where there is something to learn: after the network's step on the adjusted loss (Eq. 12, 13),
or before it, as Algorithm 1 is printed. With a frozen adjuster it never does and this is
Algorithm 2. Where several networks on several tasks take turns, their adjuster is one and the same
(Section 4.4).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch import nn

from metaloss.checks import require
from metaloss.digest import digest
from metaloss.machine import subnormals_as_zero
from metaloss.training.identity import identity, samples_of
from metaloss.training.observe import Observer
from metaloss.training.sampler import TaskSampler
from metaloss.training.steps import check_finite_weights
from metaloss.training.task_training import TaskTraining


class MultiTaskTraining:
    """Trainings that take turns, and share a meta-learner if they have one.

    Args:
        trainings: by name; their recipes differ in nothing that concerns the adjuster.
        sampler: whose turn it is.

    Raises:
        InputError: no training, or meta-learners that differ.
    """

    def __init__(
        self, trainings: Mapping[str, TaskTraining], sampler: TaskSampler | None = None
    ) -> None:
        require(len(trainings) > 0, "trainings: expected one or more, got none")
        self.trainings = dict(trainings)
        self.sampler = sampler or TaskSampler()
        first = next(iter(self.trainings.values()))
        self.recipe, self.meta_learner = first.recipe, first.state.meta_learner
        require(
            all(t.state.meta_learner is self.meta_learner for t in self.trainings.values()),
            "trainings: expected one meta-learner for all, got several",
        )

    @property
    def done(self) -> int:
        """Ordinary steps done, of all trainings."""
        return sum(training.state.step for training in self.trainings.values())

    @property
    def total(self) -> int:
        """Ordinary steps in all."""
        return sum(training.total for training in self.trainings.values())

    @property
    def epoch(self) -> int:
        """Epochs done, counted in steps of all trainings."""
        return self._epoch(self.done)

    @property
    def epochs_finished(self) -> dict[str | None, int]:
        """Epochs that each training has come to the end of, by what its records' ``task`` is."""
        return {
            name if len(self.trainings) > 1 else None: training.epoch
            for name, training in self.trainings.items()
        }

    @subnormals_as_zero()
    def run(
        self, observer: Observer | None = None, after_epoch: Callable[[], None] | None = None
    ) -> list[dict[str, Any]]:
        """Train to the end, from wherever the trainings stand.

        Args:
            observer: told of every step, and of every epoch of a training.
            after_epoch: called when as many steps are done as an epoch of all trainings has: the
                place for a checkpoint.

        Returns:
            The records of the trainings' epochs, as they came.

        Raises:
            InputError: a loss or a weight that is no longer finite.
        """
        observer = observer or Observer()
        records = []
        for names in self._turns():
            before = self.done
            ended = self.turn(names)
            if self.meta_learner is not None:
                for fraction in self._reached(before):
                    self.meta_learner.keep_snapshot(fraction)
            observer.step(self.done)
            for name in ended:
                record = self.trainings[name].finish_epoch()
                records.append({"task": name, **record} if len(self.trainings) > 1 else record)
                observer.epoch(records[-1])
            if self.epoch > self._epoch(before):
                for schedule in self.meta_learner.schedules if self.meta_learner else ():
                    schedule.step()
                for training in self.trainings.values():
                    training.forget()
                if after_epoch is not None:
                    for training in self.trainings.values():  # in the middle of its own epoch
                        check_finite_weights(training.state)
                    after_epoch()
        return records

    def turn(self, names: Sequence[str]) -> list[str]:
        """One iteration of some of the trainings, and the adjuster's step where it is due.

        Args:
            names: of the trainings.

        Returns:
            The names of those whose epoch is over.
        """
        group = {name: self.trainings[name] for name in names}
        for training in group.values():
            training.draw()
        due = [training for training in group.values() if training.due]
        if self.recipe.meta_update == "before":
            self._learn(due)
        ended = [name for name, training in group.items() if training.step()]
        if self.recipe.meta_update == "after":
            self._learn(due)
        return ended

    @property
    def identity(self) -> dict[str, Any]:
        """The recipes, data, networks and turns that a state is of, and goes on with."""
        return {
            "tasks": {
                name: {
                    "recipe": identity(training.recipe),
                    "steps": training.total,
                    "targets": identity(training.task.train_targets),
                    "network": _described(training.state.model),
                    "samples": {
                        "train": samples_of(training.task.train),
                        "meta": samples_of(training.task.meta),
                        "validation": samples_of(training.task.validation),
                        "test": samples_of(training.task.test),
                    },
                }
                for name, training in self.trainings.items()
            },
            "sampler": identity(self.sampler),
        }

    def state_dict(self) -> dict[str, Any]:
        """All trainings' states."""
        return {name: training.state_dict() for name, training in self.trainings.items()}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave; to be called before :meth:`run`."""
        require(
            saved.keys() == self.trainings.keys(),
            f"tasks: expected {', '.join(self.trainings)}, got {', '.join(saved)}",
        )
        for name, training in self.trainings.items():
            training.load_state_dict(saved[name])

    def _turns(self) -> Iterator[tuple[str, ...]]:
        """The turns that are left: those before are passed over, as a resumed run does."""
        turns = self.sampler.turns({name: t.total for name, t in self.trainings.items()})
        passed = 0
        while passed < self.done:
            passed += len(next(turns))
        return turns

    def _learn(self, due: Sequence[TaskTraining]) -> None:
        if due and self.meta_learner is not None:
            meta_gradients = [training.meta_gradient() for training in due]
            began = time.perf_counter()
            self.meta_learner.learn(meta_gradients)
            for training in due:
                training.count((time.perf_counter() - began) / len(due))

    def _reached(self, before: int) -> list[float]:
        """The fractions of training whose snapshots have become due since."""
        steps = {fraction: math.ceil(fraction * self.total) for fraction in self.recipe.snapshots}
        return [fraction for fraction, step in steps.items() if before < step <= self.done]

    def _epoch(self, done: int) -> int:
        return done * self.recipe.epochs // self.total


def _described(model: nn.Module) -> str:
    """A network's class, and a digest of its tensors' names and shapes."""
    shapes = {name: list(value.shape) for name, value in model.state_dict().items()}
    return f"{type(model).__name__} {digest(str(shapes))[:16]}"
