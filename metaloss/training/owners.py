"""Which process takes the steps of which task, where tasks are spread over processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.distributed as dist

from metaloss.processes import alone, rank, world_size
from metaloss.randomness import randomness_restored
from metaloss.training.meta_learner import MetaGradient
from metaloss.training.task_training import TaskTraining


class Owners:
    """The processes that own tasks: one after the other, in the order of the tasks.

    A process trains the networks of its own tasks, each with its whole batches. The adjuster is
    shared: all processes take its step, along the mean of the hypergradients of all tasks that are
    due. After each epoch every process receives the state of the others' tasks.

    Args:
        names: the names of the tasks.
        spread: whether tasks are spread. If not, every process takes the steps of every task, with
            its part of each batch, and the methods do nothing.
    """

    def __init__(self, names: Sequence[str], *, spread: bool) -> None:
        self.spread = spread and world_size() > 1
        self._own = rank()
        self._of = {name: i % world_size() for i, name in enumerate(names)}

    def mine(self, name: str) -> bool:
        """Return whether this process takes the steps of a task."""
        return not self.spread or self._of[name] == self._own

    def apart(self) -> AbstractContextManager[None]:
        """Return a context in which this process does not wait for the others."""
        return alone() if self.spread else nullcontext()

    def gathered(
        self, found: Mapping[str, MetaGradient], device: torch.device
    ) -> list[MetaGradient]:
        """Return the hypergradients of all processes, in the order of the tasks."""
        if not self.spread:
            return list(found.values())
        everyone: list[Any] = [None] * world_size()
        dist.all_gather_object(everyone, {name: _on(g, "cpu") for name, g in found.items()})
        together = {name: g for each in everyone for name, g in each.items()}
        return [_on(together[name], device) for name in self._of if name in together]

    def record(self, name: str, finish: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the record of a task's epoch, which its owner makes."""
        if not self.spread:
            return finish()
        said: list[Any] = [None]
        if self.mine(name):
            with alone():
                said[0] = finish()
        dist.broadcast_object_list(said, src=self._of[name])
        record: dict[str, Any] = said[0]
        return record

    def share(self, trainings: Mapping[str, TaskTraining]) -> None:
        """Give every process the state of each task, as its owner has it."""
        if not self.spread:
            return
        for name, training in trainings.items():
            said = [training.state_dict() if self.mine(name) else None]
            dist.broadcast_object_list(said, src=self._of[name])
            state = said[0]
            if not self.mine(name) and state is not None:
                with randomness_restored(), alone():
                    training.load_state_dict(state)


def _on(gradient: MetaGradient, device: torch.device | str) -> MetaGradient:
    moved = {name: value.to(device) for name, value in gradient.hypergradient.items()}
    return MetaGradient(moved, gradient.finite.to(device))
