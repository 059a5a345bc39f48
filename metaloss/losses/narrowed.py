"""Families of which some hyperparameters are held, or stay in other ranges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from metaloss.checks import is_number, require
from metaloss.kinds import Kind
from metaloss.losses.base import LossFamily
from metaloss.losses.hyperparameter import Hyperparameter


@dataclass(frozen=True)
class _Narrowed(LossFamily):
    """A family made of another one."""

    loss: LossFamily

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        """The family's."""
        return self.loss.kind

    @property
    def family(self) -> str:
        """The family's."""
        return self.loss.family


@dataclass(frozen=True)
class Fixed(_Narrowed):
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
class Ranged(_Narrowed):
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

    def per_sample(self, outputs: Tensor, targets: Tensor, hparams: Tensor) -> Tensor:
        """The family's loss, unchanged."""
        return self.loss.per_sample(outputs, targets, hparams)


def check_strength(strength: float) -> float:
    """Return ``strength`` if it is a number in (0, 1], else raise :class:`InputError`."""
    fits = is_number(strength) and 0 < strength <= 1
    require(fits, f"strength: expected a number in (0, 1], got {strength!r}")
    return strength


def toward_defaults(loss: LossFamily, strength: float) -> LossFamily:
    r"""The family whose ranges lie so much nearer to its defaults.

    .. math:: [d + s (a - d),\ d + s (b - d)]

    An adjuster is bounded into its ranges, so that the same parameters give
    :math:`d + s (\Lambda - d)` where they gave :math:`\Lambda`: less of what it learned.

    Args:
        loss: a family.
        strength: :math:`s`, in (0, 1]; at 1 the family as it is.

    Raises:
        InputError: a strength outside of this.

    Example:
        >>> from metaloss.losses import GCE, toward_defaults
        >>> half = toward_defaults(GCE(), 0.5).hyperparameters[0]
        >>> round(half.low, 6), half.default, round(half.high, 6)
        (0.35, 0.7, 0.85)
    """
    if check_strength(strength) == 1 or not loss.hyperparameters:
        return loss

    def nearer(h: Hyperparameter, end: float) -> float:
        return h.default + strength * (end - h.default)

    ranges = {h.name: (nearer(h, h.low), nearer(h, h.high)) for h in loss.hyperparameters}
    if isinstance(loss, Ranged):  # one set of ranges in place of another
        return Ranged(loss.loss, ranges)
    return Ranged(loss, ranges)


def widest(loss: LossFamily) -> LossFamily:
    """The family without ranges of its own, if that leaves its defaults where they are.

    Example:
        >>> from metaloss.losses import GCE, Ranged
        >>> from metaloss.losses.narrowed import widest
        >>> widest(Ranged(GCE(), {"q": (0.4, 0.9)})), widest(Ranged(GCE(), {"q": (0.8, 0.9)}))
        (GCE(), Ranged(loss=GCE(), ranges={'q': (0.8, 0.9)}))
    """
    same = isinstance(loss, Ranged) and loss.loss.defaults == loss.defaults
    return widest(loss.loss) if same else loss  # type: ignore[attr-defined]


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
