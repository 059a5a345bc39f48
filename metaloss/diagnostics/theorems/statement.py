"""What a theorem says of one loss and one noise, and whether it holds."""

from __future__ import annotations

from typing import NamedTuple

TOLERANCE = 1e-8
"""By how much a value may be beyond its bound: far above the errors of the minimisation."""

NOISY, CLEAN = "R^η(f*) - R^η(f̂)", "R(f*) - R(f̂)"


class Check(NamedTuple):
    """An inequality, and whether it holds.

    Attributes:
        theorem: the theorem's number.
        part: its part.
        loss: the loss with its hyperparameters; of Theorems 3 and 4 those of right labels, then
            those of wrong ones.
        num_classes: the number of classes.
        noise: "symmetric" or "class-dependent".
        rate: the probability of a wrong label.
        quantity: what is bounded.
        low: its lower bound.
        value: its value. Of several distributions it is the one nearest to the bound.
        high: its upper bound.
        holds: whether the value is between the bounds, up to :data:`TOLERANCE`.
        note: a remark.
    """

    theorem: int
    part: int
    loss: str
    num_classes: int
    noise: str
    rate: float
    quantity: str
    low: float
    value: float
    high: float
    holds: bool
    note: str


class Statement(NamedTuple):
    """A part of a theorem for one loss and one noise; the attributes are those of :class:`Check`.

    Example:
        >>> from metaloss.diagnostics.theorems.statement import NOISY, Statement
        >>> of = Statement(1, 1, "GCE(q=1)", 2, "symmetric", 0.4)
        >>> of.check(NOISY, 0.0, [0.1, 0.3], 0.2).holds
        False
    """

    theorem: int
    part: int
    loss: str
    num_classes: int
    noise: str
    rate: float
    note: str = ""

    def check(self, quantity: str, low: float, values: list[float], high: float) -> Check:
        """Return whether all values are between the bounds, with the one nearest to a bound."""
        nearest = max(values) if quantity == NOISY else min(values)
        holds = all(within(low, value, high) for value in values)
        return Check(*self[:6], quantity, low, nearest, high, holds, self.note)


def within(low: float, value: float, high: float) -> bool:
    """Return whether a value is between its bounds, up to :data:`TOLERANCE`.

    Example:
        >>> from metaloss.diagnostics.theorems.statement import within
        >>> within(0.0, -1e-12, 1.0), within(0.0, 1.1, 1.0), within(0.0, float("nan"), 1.0)
        (True, False, False)
    """
    return low - TOLERANCE <= value <= high + TOLERANCE
