"""One number that shapes a loss, and its range."""

from __future__ import annotations

from dataclasses import dataclass

from metaloss.checks import require


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
