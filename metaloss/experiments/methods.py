"""Methods: ways to set a loss's hyperparameters."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from metaloss.adjusters import Adjuster, BaseAdjuster, OracleAdjuster
from metaloss.arguments import check_arguments
from metaloss.checks import InputError
from metaloss.conditioners import Conditioner, Flipped, plain_conditioner
from metaloss.losses import LossFamily
from metaloss.objective import AdjustedLoss
from metaloss.pretrained import from_pretrained, start_from
from metaloss.pretrained.by_name import folder_of
from metaloss.pretrained.card import fingerprint
from metaloss.pretrained.spec import parts
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


@dataclass(frozen=True, kw_only=True)
class Conventional(Method):
    """The same hyperparameters for every sample (Eq. 6).

    Args:
        name: the name in tables and folders.
        loss: the loss family.
        values: hyperparameter values by name; the rest have their defaults.

    Example:
        >>> from metaloss.experiments import Conventional
        >>> from metaloss.losses import GCE
        >>> Conventional(name="GCE", loss=GCE(), values={"q": 0.5}).learns
        False
    """

    loss: LossFamily
    values: Mapping[str, float] | None = None

    def criterion(self, task: TaskLike) -> AdjustedLoss:  # noqa: ARG002 - the same for each
        """Return the loss with constant hyperparameters."""
        return AdjustedLoss.fixed(self.loss, self.values)


@dataclass(frozen=True, kw_only=True)
class Adjusted(Method):
    """Hyperparameters predicted for each sample by a meta-trained adjuster (Eq. 8, 9).

    Args:
        name: the name in tables and folders.
        loss: the loss family.
        conditioner: computes the adjuster's features; each run has its own copy. By default the
            margin, or for regression the residual.
        adjuster: a function that makes the adjuster, called with ``num_features`` and
            ``hyperparameters``.
        detach: treat the features as constants in the derivatives.
        start: a saved adjuster, by folder or name, whose last snapshot is trained further. It
            needs the same features and hyperparameters. By default the adjuster is new.

    Raises:
        InputError: ``start`` has another loss, conditioner or size.

    Example:
        >>> from metaloss.experiments import Adjusted
        >>> from metaloss.losses import GCE
        >>> Adjusted(name="A-GCE", loss=GCE()).learns
        True
    """

    loss: LossFamily
    conditioner: Conditioner | None = None
    adjuster: Callable[..., BaseAdjuster] = Adjuster
    detach: bool = True
    start: str | Path | None = None
    learns: ClassVar[bool] = True

    @property
    def components(self) -> tuple[type, ...]:
        """The classes that the criterion is made of, as a saved adjuster's card names them."""
        with torch.random.fork_rng(devices=[]):  # the weights made here are thrown away
            made = self._fresh()
        return (*parts(made.loss), *parts(made.conditioner), *parts(made.adjuster))

    def criterion(self, task: TaskLike) -> AdjustedLoss:  # noqa: ARG002 - prepared by the loop
        """Return the loss with a new adjuster and a copy of the conditioner."""
        criterion = self._fresh()
        if self.start is not None:
            start_from(criterion, self.start, self.components)
        return criterion

    def _fresh(self) -> AdjustedLoss:
        conditioner = copy.deepcopy(self.conditioner)
        if conditioner is None:
            conditioner = plain_conditioner(self.loss.kind).conditioner
        adjuster = self.adjuster(
            num_features=conditioner.num_features, hyperparameters=self.loss.hyperparameters
        )
        return AdjustedLoss(self.loss, conditioner, adjuster, self.detach)


@dataclass(frozen=True, kw_only=True)
class Oracle(Method):
    """Hyperparameters set by an oracle that knows which labels are wrong (Section 2.4, Fig. 2).

    Args:
        name: the name in tables and folders.
        loss: the loss family.
        clean: hyperparameter values for correct labels, by name.
        noisy: hyperparameter values for wrong labels, by name.

    Example:
        >>> from metaloss.experiments import Oracle
        >>> from metaloss.losses import GCE
        >>> Oracle(name="oracle GCE", loss=GCE()).learns
        False
    """

    loss: LossFamily
    clean: Mapping[str, float] | None = None
    noisy: Mapping[str, float] | None = None
    informed: ClassVar[bool] = True

    def criterion(self, task: TaskLike) -> AdjustedLoss:
        """Return the loss with an adjuster that reads the task's ``flipped``."""
        if task.flipped is None:
            raise InputError(f"{self.name}: expected a task that knows its wrong labels, got none")
        adjuster = OracleAdjuster(self.loss.hyperparameters, self.clean, self.noisy)
        return AdjustedLoss(self.loss, Flipped(task.flipped), adjuster)


@dataclass(frozen=True, kw_only=True)
class Transferred(Method):
    """Hyperparameters predicted by a frozen adjuster that was learned elsewhere (Algorithm 2).

    Its snapshots are switched as training progresses, whatever the length of the run. It needs no
    clean samples.

    Args:
        name: the name in tables and folders.
        adjuster: the folder of a saved adjuster, or the name of a pretrained one.
        components: your own classes that its card names.
        strength: the factor by which its distance from the loss's defaults is scaled, as for
            :func:`~metaloss.from_pretrained`.

    Example:
        >>> from metaloss.experiments import Transferred
        >>> Transferred(name="T-GCE", adjuster="runs/demo/A-GCE/seed-0/adjuster").learns
        False
    """

    adjuster: str | Path
    components: Sequence[type] = ()
    strength: float = 1.0

    @property
    def provenance(self) -> dict[str, Any]:
        """A hash of the adjuster, and the strength if it is not 1."""
        which = {"adjuster": fingerprint(folder_of(self.adjuster))}
        return which if self.strength == 1 else {**which, "strength": self.strength}

    def criterion(self, task: TaskLike) -> AdjustedLoss:  # noqa: ARG002 - the same for each
        """Return the loss with the frozen adjuster."""
        return from_pretrained(self.adjuster, components=self.components, strength=self.strength)
