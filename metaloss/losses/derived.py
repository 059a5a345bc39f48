"""Families derived from another one: hyperparameters held fixed or given other ranges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from metaloss.checks import InputError, check_in_range, is_number, require
from metaloss.kinds import CLASSIFICATION, Kind
from metaloss.losses.base import LossFamily
from metaloss.losses.hyperparameter import Hyperparameter


@dataclass(frozen=True)
class _Derived(LossFamily):
    """A family derived from another one."""

    loss: LossFamily

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        """The kind of the original family."""
        return self.loss.kind

    @property
    def family(self) -> str:
        """The name of the original family."""
        return self.loss.family

    def per_sample(self, outputs: Tensor, targets: Tensor, hparams: Tensor) -> Tensor:
        """Return the original loss."""
        return self.loss.per_sample(outputs, targets, self._original(hparams))

    def of_constants(self, outputs: Tensor, targets: Tensor, hparams: Tensor) -> Tensor:
        """Return the original loss."""
        return self.loss.of_constants(outputs, targets, self._original(hparams))

    def _original(self, hparams: Tensor) -> Tensor:
        """Return the columns that the original family reads."""
        return hparams


@dataclass(frozen=True)
class Fixed(_Derived):
    """A family with some hyperparameters held fixed; the others are predicted.

    Args:
        loss: the original family.
        values: the fixed values by hyperparameter name.

    Raises:
        InputError: an unknown name, or a value out of range.

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
            check_in_range(name, value, declared[name].low, declared[name].high)
        object.__setattr__(self, "values", _FrozenDict(self.values))

    @property
    def hyperparameters(self) -> tuple[Hyperparameter, ...]:  # type: ignore[override]
        """The hyperparameters that are not fixed."""
        return tuple(h for h in self.loss.hyperparameters if h.name not in self.values)

    def _original(self, hparams: Tensor) -> Tensor:
        """Return the predicted columns and the fixed ones."""
        predicted = iter(hparams.unbind(dim=1))
        columns = [
            hparams.new_full((hparams.shape[0],), self.values[h.name])
            if h.name in self.values
            else next(predicted)
            for h in self.loss.hyperparameters
        ]
        return torch.stack(columns, dim=1)


@dataclass(frozen=True)
class Ranged(_Derived):
    """A family with other ranges for some of its hyperparameters.

    A default outside the new range moves to the nearer end.

    Args:
        loss: the original family.
        ranges: ``(low, high)`` by hyperparameter name.

    Raises:
        InputError: an unknown name, an empty range, or one that is wider than the family's and has
            an end at which the loss or a derivative is not finite.

    Example:
        >>> from metaloss.losses import Ranged
        >>> from metaloss.losses import GCE
        >>> Ranged(GCE(), {"q": (0.2, 0.9)}).hyperparameters[0].high
        0.9
    """

    ranges: Mapping[str, tuple[float, float]]

    def __post_init__(self) -> None:
        """Check the names and the ranges."""
        declared = _by_name(self.loss, self.ranges)
        for name, given in self.ranges.items():
            require(
                isinstance(given, list | tuple) and len(given) == 2 and all(map(is_number, given)),
                f"{name}: expected a range (low, high), got {given!r}",
            )
        object.__setattr__(
            self, "ranges", _FrozenDict({k: tuple(map(float, v)) for k, v in self.ranges.items()})
        )
        _ = self.hyperparameters
        for name, ends in self.ranges.items():
            for end in ends:
                if not declared[name].low <= end <= declared[name].high:
                    _check_finite_at(self.loss, name, end)

    @property
    def hyperparameters(self) -> tuple[Hyperparameter, ...]:  # type: ignore[override]
        """The original hyperparameters with the new ranges."""
        return tuple(
            h.within(*self.ranges[h.name]) if h.name in self.ranges else h
            for h in self.loss.hyperparameters
        )


def check_strength(strength: float) -> float:
    """Return ``strength`` if it is a number in (0, 1], else raise :class:`InputError`."""
    fits = is_number(strength) and 0 < strength <= 1
    require(fits, f"strength: expected a number in (0, 1], got {strength!r}")
    return strength


def toward_defaults(loss: LossFamily, strength: float) -> LossFamily:
    r"""Shrinks the ranges of a family towards its defaults.

    .. math:: [a, b] \to [d + s (a - d),\ d + s (b - d)]

    An adjuster's output is scaled into the ranges. The parameters that predicted :math:`\Lambda`
    with the original ranges predict :math:`d + s (\Lambda - d)` with the new ones.

    Args:
        loss: a family.
        strength: :math:`s`, in (0, 1]; 1 leaves the ranges as they are.

    Raises:
        InputError: ``strength`` is out of range.

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
    if isinstance(loss, Ranged):  # replace its ranges instead of nesting two
        return Ranged(loss.loss, ranges)
    return Ranged(loss, ranges)


def widest(loss: LossFamily) -> LossFamily:
    """Remove a family's :class:`Ranged`, unless that would change its defaults.

    Example:
        >>> from metaloss.losses import GCE, Ranged
        >>> from metaloss.losses.derived import widest
        >>> widest(Ranged(GCE(), {"q": (0.4, 0.9)})), widest(Ranged(GCE(), {"q": (0.8, 0.9)}))
        (GCE(), Ranged(loss=GCE(), ranges={'q': (0.8, 0.9)}))
    """
    same = isinstance(loss, Ranged) and loss.loss.defaults == loss.defaults
    return widest(loss.loss) if same else loss  # type: ignore[attr-defined]


def _check_finite_at(loss: LossFamily, name: str, end: float) -> None:
    """Raise an error if the loss or a derivative is not finite at the end of a new range."""
    values = {**{h.name: h.default for h in loss.hyperparameters}, name: end}
    with torch.device("cpu"), torch.enable_grad():
        hparams = loss.constant(2, [values[h.name] for h in loss.hyperparameters]).clone()
        outputs = hparams.new_tensor([[2.0, 0.0, -2.0], [2.0, 0.0, -2.0]])
        wanted = torch.zeros_like(outputs)
        targets = torch.tensor([0, 2]) if loss.kind == CLASSIFICATION else wanted
        given = outputs.requires_grad_(), hparams.requires_grad_()
        try:
            total = loss(given[0], targets, given[1]).sum()
        except (InputError, RuntimeError, IndexError):
            return  # a loss for another number of classes
        slopes = torch.autograd.grad(total, given, allow_unused=True)
    found = [total, *(slope for slope in slopes if slope is not None)]
    require(
        all(bool(value.isfinite().all()) for value in found),
        f"{name}: expected a range at whose ends {loss.family} and its derivatives are finite, "
        f"got one that ends at {end:g}",
    )


class _FrozenDict(Mapping[str, Any]):
    """An immutable, hashable mapping, so that a family that holds one is immutable too."""

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
