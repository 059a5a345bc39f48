"""What a loss family is, and how its hyperparameters are declared, fixed and ranged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from metaloss.checks import require
from metaloss.kinds import CLASSIFICATION, Kind
from metaloss.losses.numerics import full_precision
from metaloss.types import Outputs, Targets


@dataclass(frozen=True)
class Hyperparameter:
    """One number that shapes a loss.

    Attributes:
        name: the paper's name for it.
        low: the least value an adjuster may give; the loss and its first two derivatives are
            finite there.
        high: the greatest value; the same holds.
        default: the value to use where nothing is learned, from the paper that proposed the loss.
        clean: the value an oracle gives a sample whose label is right (Section 4.3); the default
            if not given.
        noisy: the value an oracle gives a sample whose label is wrong; the default if not given.

    Example:
        >>> from metaloss.losses import Hyperparameter
        >>> Hyperparameter("q", low=0.0, high=1.0, default=0.7).default
        0.7
    """

    name: str
    low: float
    high: float
    default: float
    clean: float | None = None
    noisy: float | None = None

    def __post_init__(self) -> None:
        """Refuse an empty range or a default outside it."""
        require(
            self.low < self.high, f"{self.name}: expected low < high, got {self.low}, {self.high}"
        )
        require(
            self.low <= self.default <= self.high,
            f"{self.name}: expected a default in [{self.low}, {self.high}], got {self.default}",
        )

    def within(self, low: float, high: float) -> Hyperparameter:
        """The same hyperparameter with another range; a value outside it moves to the nearer end.

        Example:
            >>> from metaloss.losses import Hyperparameter
            >>> Hyperparameter("q", 0.0, 1.0, default=0.7).within(0.0, 0.5).default
            0.5
        """

        def nearest(value: float | None) -> float | None:
            return None if value is None else min(max(value, low), high)

        default = min(max(self.default, low), high)
        return Hyperparameter(
            self.name, low, high, default, nearest(self.clean), nearest(self.noisy)
        )


class LossFamily(ABC):
    """A per-sample loss with hyperparameters that may differ from sample to sample.

    A family is a value without state: it never reduces, never moves devices, and its columns of
    hyperparameters stand in the order of ``hyperparameters``. To define one, subclass a frozen
    dataclass, declare ``hyperparameters`` and write ``per_sample``; for regression set ``kind`` to
    :data:`metaloss.kinds.REGRESSION`.

    Attributes:
        hyperparameters: in the order of their columns.
        kind: whether its targets are classes or values.

    Example:
        >>> import torch
        >>> from metaloss.losses import GCE
        >>> loss = GCE()
        >>> outputs, targets = torch.zeros(4, 10), torch.arange(4)
        >>> loss(outputs, targets, loss.constant(4)).shape
        torch.Size([4])
    """

    hyperparameters: ClassVar[tuple[Hyperparameter, ...]]
    kind: ClassVar[Kind] = CLASSIFICATION

    @abstractmethod
    def per_sample(
        self,
        outputs: Outputs,
        targets: Targets,
        hparams: Float[Tensor, "batch hyperparameters"],
    ) -> Float[Tensor, " batch"]:
        """The loss of each sample, from full-precision outputs that have been checked."""

    def __call__(
        self,
        outputs: Outputs,
        targets: Targets,
        hparams: Float[Tensor, "batch hyperparameters"],
    ) -> Float[Tensor, " batch"]:
        """The loss of each sample.

        Args:
            outputs: logits ``[batch, classes]``, or values ``[batch, values]`` for regression; half
                precision is computed in float32.
            targets: labels ``[batch]``, int64, in ``0 .. classes - 1``, or values as the outputs.
            hparams: ``[batch, d']``, a column for each of ``hyperparameters``.

        Returns:
            ``[batch]``, float32 or float64.

        Raises:
            InputError: a shape or a dtype is not as above.
        """
        self.kind.check(outputs, targets)
        expected = (outputs.shape[0], len(self.hyperparameters))
        require(
            tuple(hparams.shape) == expected,
            f"hparams of {type(self).__name__}: expected shape {list(expected)} for "
            f"({', '.join(h.name for h in self.hyperparameters)}), got {list(hparams.shape)}",
        )
        return self.per_sample(full_precision(outputs), targets, full_precision(hparams))

    @property
    def family(self) -> str:
        """What tables call it, whichever of its hyperparameters are held or in other ranges."""
        return type(self).__name__

    @property
    def defaults(self) -> tuple[float, ...]:
        """The default of each hyperparameter."""
        return tuple(h.default for h in self.hyperparameters)

    def constant(
        self,
        batch: int,
        values: Sequence[float] | None = None,
        *,
        like: Tensor | None = None,
    ) -> Float[Tensor, "batch hyperparameters"]:
        """The same hyperparameters for every sample.

        Args:
            batch: number of samples.
            values: one for each hyperparameter; their defaults if not given.
            like: a tensor whose dtype and device to use.

        Returns:
            ``[batch, d']``.
        """
        row = torch.tensor(
            tuple(values) if values is not None else self.defaults,
            dtype=None if like is None else like.dtype,
            device=None if like is None else like.device,
        )
        return row.expand(batch, -1)


@dataclass(frozen=True)
class Fixed(LossFamily):
    """A family with some of its hyperparameters held at given values, the others predicted.

    Args:
        loss: the family.
        values: from a hyperparameter's name to its value, inside its range.

    Raises:
        InputError: a name the family does not have, or a value out of range.

    Example:
        >>> from metaloss.losses import Fixed
        >>> from metaloss.losses import PolySoft
        >>> [h.name for h in Fixed(PolySoft(), {"d": 2.0}).hyperparameters]
        ['lam']
    """

    loss: LossFamily
    values: Mapping[str, float]

    def __post_init__(self) -> None:
        """Check the names and the values."""
        declared = _by_name(self.loss, self.values)
        for name, value in self.values.items():
            h = declared[name]
            require(
                h.low <= value <= h.high,
                f"{name}: expected a value in [{h.low:g}, {h.high:g}], got {value!r}",
            )
        object.__setattr__(self, "values", _FrozenDict(self.values))

    @property
    def hyperparameters(self) -> tuple[Hyperparameter, ...]:  # type: ignore[override]
        """Those that are not held."""
        return tuple(h for h in self.loss.hyperparameters if h.name not in self.values)

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        """The family's."""
        return self.loss.kind

    @property
    def family(self) -> str:
        """The family's."""
        return self.loss.family

    def per_sample(self, outputs: Tensor, targets: Tensor, hparams: Tensor) -> Tensor:
        """The family's loss, the held columns filled in."""
        predicted = iter(hparams.unbind(dim=1))
        columns = [
            hparams.new_full((hparams.shape[0],), self.values[h.name])
            if h.name in self.values
            else next(predicted)
            for h in self.loss.hyperparameters
        ]
        return self.loss.per_sample(outputs, targets, torch.stack(columns, dim=1))


@dataclass(frozen=True)
class Ranged(LossFamily):
    """A family with other ranges for some of its hyperparameters.

    A default that falls outside its new range moves to the nearer end.

    Args:
        loss: the family.
        ranges: from a hyperparameter's name to its ``(low, high)``.

    Raises:
        InputError: a name the family does not have, or a range without width.

    Example:
        >>> from metaloss.losses import Ranged
        >>> from metaloss.losses import GCE
        >>> Ranged(GCE(), {"q": (0.2, 0.9)}).hyperparameters[0].high
        0.9
    """

    loss: LossFamily
    ranges: Mapping[str, tuple[float, float]]

    def __post_init__(self) -> None:
        """Check the names; the ranges check themselves."""
        _by_name(self.loss, self.ranges)
        object.__setattr__(
            self, "ranges", _FrozenDict({k: tuple(v) for k, v in self.ranges.items()})
        )
        _ = self.hyperparameters

    @property
    def hyperparameters(self) -> tuple[Hyperparameter, ...]:  # type: ignore[override]
        """The family's, with the new ranges."""
        return tuple(
            h.within(*self.ranges[h.name]) if h.name in self.ranges else h
            for h in self.loss.hyperparameters
        )

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        """The family's."""
        return self.loss.kind

    @property
    def family(self) -> str:
        """The family's."""
        return self.loss.family

    def per_sample(self, outputs: Tensor, targets: Tensor, hparams: Tensor) -> Tensor:
        """The family's loss, unchanged."""
        return self.loss.per_sample(outputs, targets, hparams)


class _FrozenDict(Mapping[str, Any]):
    """A mapping that can be hashed and not changed: a family built on one is a value too."""

    def __init__(self, items: Mapping[str, Any]) -> None:
        self._items = dict(items)

    def __getitem__(self, name: str) -> Any:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return repr(self._items)


def _by_name(loss: LossFamily, given: Mapping[str, object]) -> dict[str, Hyperparameter]:
    declared = {h.name: h for h in loss.hyperparameters}
    for name in given:
        require(
            name in declared,
            f"{type(loss).__name__}: expected a hyperparameter of ({', '.join(declared)}), "
            f"got {name!r}",
        )
    return declared
