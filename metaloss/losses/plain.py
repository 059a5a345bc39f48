"""The plain loss of each kind of targets."""

from __future__ import annotations

from metaloss.kinds import CLASSIFICATION, Kind
from metaloss.losses.base import LossFamily
from metaloss.losses.cross_entropy import CrossEntropy
from metaloss.losses.errors import SquaredError


def plain_loss(kind: Kind) -> LossFamily:
    """Return cross entropy for classes, half the squared error for values.

    Example:
        >>> from metaloss.kinds import REGRESSION
        >>> from metaloss.losses import plain_loss
        >>> plain_loss(REGRESSION)
        SquaredError()
    """
    return CrossEntropy() if kind == CLASSIFICATION else SquaredError()
