"""A hyperparameter of a loss and its range."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from metaloss.checks import InputError, is_number, require


@dataclass(frozen=True)
class Hyperparameter:
    """A hyperparameter of a loss and its range.

    Attributes:
        name: its name in the paper.
        low: the smallest value that an adjuster may predict. The loss and its first two
            derivatives are finite there.
        high: the largest value, likewise.
        default: the value of a conventional loss, from the paper that proposed the loss.
        clean: the value that an oracle gives samples with right labels (Section 4.3); the default
            if not given.
        noisy: the value that an oracle gives samples with wrong labels; the default if not given.

    Raises:
        InputError: the range is empty or not finite, or the default is outside of it.

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
        """Check the range and the default."""
        finite = all(is_number(end) and math.isfinite(end) for end in (self.low, self.high))
        require(
            finite and self.low < self.high,
            f"{self.name}: expected finite numbers low < high, got {self.low!r}, {self.high!r}",
        )
        require(
            self.low <= self.default <= self.high,
            f"{self.name}: expected a default in [{self.low}, {self.high}], got {self.default}",
        )

    def within(self, low: float, high: float) -> Hyperparameter:
        """Return this hyperparameter with another range, its values clamped to the range.

        Example:
            >>> from metaloss.losses import Hyperparameter
            >>> Hyperparameter("q", 0.0, 1.0, default=0.7).within(0.0, 0.5).default
            0.5
        """

        def clamped(value: float | None) -> float | None:
            return None if value is None else min(max(value, low), high)

        values = {name: clamped(getattr(self, name)) for name in ("default", "clean", "noisy")}
        return replace(self, low=low, high=high, **values)  # type: ignore[arg-type]


def ranges(hyperparameters: Iterable[Hyperparameter]) -> str:
    """Return the names and ranges of hyperparameters, for messages.

    Example:
        >>> from metaloss.losses.hyperparameter import Hyperparameter, ranges
        >>> ranges([Hyperparameter("q", low=0.0, high=1.0, default=0.7)])
        '(q in [0, 1])'
    """
    return "(" + ", ".join(f"{h.name} in [{h.low:g}, {h.high:g}]" for h in hyperparameters) + ")"


def declared(loss: Any) -> tuple[Hyperparameter, ...]:
    """Return the hyperparameters that a loss declares.

    Args:
        loss: a loss family.

    Raises:
        InputError: it declares none, something else than a tuple of hyperparameters, or two of one
            name.

    Example:
        >>> from metaloss.losses import GCE
        >>> from metaloss.losses.hyperparameter import declared
        >>> [h.name for h in declared(GCE())]
        ['q']
    """
    found = getattr(loss, "hyperparameters", None)
    if not isinstance(found, tuple) or not all(isinstance(h, Hyperparameter) for h in found):
        raise InputError(
            f"{type(loss).__name__}.hyperparameters: expected a tuple of Hyperparameter(...), such "
            f"as (Hyperparameter(...),), got {found!r}"
        )
    names = [h.name for h in found]
    require(
        len(set(names)) == len(names),
        f"{type(loss).__name__}.hyperparameters: expected names that differ, got {names}",
    )
    return found
