"""Methods whose loss is known after preliminary runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from metaloss.experiments.methods.method import Method
from metaloss.objective import AdjustedLoss
from metaloss.types import TaskLike


class PreliminaryRun(NamedTuple):
    """A finished preliminary run.

    Attributes:
        method: its method.
        model: the network that it trained, on the task's device.
    """

    method: Method
    model: torch.nn.Module


class Conclusion(NamedTuple):
    """The method that preliminary runs have decided on.

    Attributes:
        method: the method of the final run. If it is that of a preliminary run, that run is the
            final one too, and nothing is trained again.
        about: entries of the final run's result that say how the method was found.
    """

    method: Method
    about: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Staged(Method, ABC):
    """A method that makes preliminary runs before its final run, whose result is reported.

    The preliminary runs have the same data, network, seed and recipe, and are written to folders
    inside the run's own.
    """

    @property
    def num_trainings(self) -> int:
        """The number of networks trained for one run, the preliminary ones among them."""
        return len(self.preliminary) + 1

    @property
    @abstractmethod
    def preliminary(self) -> Sequence[Method]:
        """The methods of the preliminary runs, with different names."""

    @abstractmethod
    def conclude(self, task: TaskLike, runs: Sequence[PreliminaryRun]) -> Conclusion:
        """Decide on the method of the final run.

        Args:
            task: the task.
            runs: the finished preliminary runs.
        """

    def check(self, task: TaskLike) -> None:
        """Raise :class:`~metaloss.InputError` if the task lacks what :meth:`conclude` needs."""

    def criterion(self, task: TaskLike) -> AdjustedLoss:
        """Return the criterion of the first of its runs, which can be tried before any run."""
        self.check(task)
        first = self.preliminary[0] if self.preliminary else self.conclude(task, ()).method
        return first.criterion(task)
