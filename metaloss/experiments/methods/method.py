"""What a method is: a way to set a loss's hyperparameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from metaloss.arguments import check_arguments
from metaloss.objective import AdjustedLoss
from metaloss.types import TaskLike


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """A named way to make the criterion for a task.

    Attributes:
        name: the name in tables and folders.
        learns: whether its adjuster is meta-trained, which needs clean samples.
        informed: whether it knows which labels are wrong, so that it cannot be compared.
    """

    name: str
    learns: ClassVar[bool] = False
    informed: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check the arguments' types."""
        check_arguments(self)

    @property
    def provenance(self) -> dict[str, Any]:
        """Entries of a run's result that say where its criterion comes from."""
        return {}

    @property
    def components(self) -> Sequence[type]:
        """The classes that the card of its learned adjuster may name, beside the package's."""
        return ()

    @property
    def num_trainings(self) -> int:
        """The number of networks trained for one run."""
        return 1

    @abstractmethod
    def criterion(self, task: TaskLike) -> AdjustedLoss:
        """Return a new criterion for one run on ``task``."""
