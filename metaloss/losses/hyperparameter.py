"""A hyperparameter of a loss and its range."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from metaloss.checks import require


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
        require(
            self.low < self.high, f"{self.name}: expected low < high, got {self.low}, {self.high}"
        )
        require(
            self.low <= self.default <= self.high,
            f"{self.name}: expected a default in [{self.low}, {self.high}], got {self.default}",
        )

    def within(self, low: float, high: float) -> Hyperparameter:
        """Returns this hyperparameter with another range, its values clamped to the range.

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
