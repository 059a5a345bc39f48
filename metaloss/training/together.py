r"""Algorithms 1 and 2 as one loop, over one task or many.

Every ``meta_every`` steps of a network the adjuster takes a step along the hypergradient (Eq. 10,
11), where there is something to learn; every step the network takes one on the adjusted loss
(Eq. 12, 13). With a frozen adjuster the first half never happens and this is Algorithm 2. Where
several networks on several tasks take turns, their adjuster is one and the same (Section 4.4).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from metaloss.checks import require
from metaloss.machine import subnormals_as_zero
from metaloss.training.course import Course
from metaloss.training.observe import Observer
from metaloss.training.sampler import TaskSampler


class Together:
    """Courses that take turns, and share a learner if they have one.

    Args:
        courses: by name; their recipes differ in nothing that concerns the adjuster.
        sampler: whose turn it is.

    Raises:
        InputError: no course, or learners that differ.
    """

    def __init__(self, courses: Mapping[str, Course], sampler: TaskSampler | None = None) -> None:
        require(len(courses) > 0, "courses: expected one or more, got none")
        self.courses = dict(courses)
        self.sampler = sampler or TaskSampler()
        first = next(iter(self.courses.values()))
        self.recipe, self.learner = first.recipe, first.state.learner
        require(
            all(course.state.learner is self.learner for course in self.courses.values()),
            "courses: expected one learner for all, got several",
        )

    @property
    def done(self) -> int:
        """Ordinary steps done, of all courses."""
        return sum(course.state.step for course in self.courses.values())

    @property
    def total(self) -> int:
        """Ordinary steps in all."""
        return sum(course.total for course in self.courses.values())

    @property
    def epoch(self) -> int:
        """Epochs done, counted in steps of all courses."""
        return self._epoch(self.done)

    @property
    def epochs_finished(self) -> int:
        """Epochs that courses have come to the end of, of all courses."""
        return sum(course.epoch for course in self.courses.values())

    @subnormals_as_zero()
    def run(
        self, observer: Observer | None = None, after_epoch: Callable[[], None] | None = None
    ) -> list[dict[str, Any]]:
        """Train to the end, from wherever the courses stand.

        Args:
            observer: told of every step, and of every epoch of a course.
            after_epoch: called when as many steps are done as an epoch of all courses has: the
                place for a checkpoint.

        Returns:
            The records of the courses' epochs, as they came.

        Raises:
            InputError: a loss that is no longer finite.
        """
        observer = observer or Observer()
        records = []
        for names in self._turns():
            group = {name: self.courses[name] for name in names}
            before = self.done
            for course in group.values():
                course.draw()
            self._learn([course for course in group.values() if course.due])
            ended = [name for name, course in group.items() if course.step()]
            if self.learner is not None:
                for fraction in self._reached(before):
                    self.learner.keep_snapshot(fraction)
            observer.step(self.done)
            for name in ended:
                record = group[name].finish_epoch()
                records.append({"task": name, **record} if len(self.courses) > 1 else record)
                observer.epoch(records[-1])
            if self.epoch > self._epoch(before):
                for schedule in self.learner.schedules if self.learner else ():
                    schedule.step()
                if after_epoch is not None:
                    after_epoch()
        return records

    def state_dict(self) -> dict[str, Any]:
        """All courses' states."""
        return {name: course.state_dict() for name, course in self.courses.items()}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave; to be called before :meth:`run`."""
        require(
            saved.keys() == self.courses.keys(),
            f"tasks: expected {', '.join(self.courses)}, got {', '.join(saved)}",
        )
        for name, course in self.courses.items():
            course.load_state_dict(saved[name])

    def _turns(self) -> Iterator[tuple[str, ...]]:
        """The turns that are left: those before are passed over, as a resumed run does."""
        turns = self.sampler.turns({name: course.total for name, course in self.courses.items()})
        passed = 0
        while passed < self.done:
            passed += len(next(turns))
        return turns

    def _learn(self, due: Sequence[Course]) -> None:
        if due and self.learner is not None:
            # A forward pass is shared where that keeps no more than one graph.
            lessons = [course.look_ahead(share=len(due) == 1) for course in due]
            began = time.perf_counter()
            self.learner.learn(lessons)
            for course in due:
                course.count((time.perf_counter() - began) / len(due))

    def _reached(self, before: int) -> list[float]:
        """The fractions of training whose snapshots have become due since."""
        steps = {fraction: math.ceil(fraction * self.total) for fraction in self.recipe.snapshots}
        return [fraction for fraction, step in steps.items() if before < step <= self.done]

    def _epoch(self, done: int) -> int:
        return done * self.recipe.epochs // self.total
