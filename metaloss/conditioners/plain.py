"""What is read of a sample where nothing else is asked for."""

from __future__ import annotations

from typing import NamedTuple

from metaloss.conditioners.base import Conditioner
from metaloss.conditioners.margin import Margin
from metaloss.conditioners.residual import Residual
from metaloss.kinds import CLASSIFICATION, Kind


class Plain(NamedTuple):
    """A conditioner and the name of its feature in files."""

    name: str
    conditioner: Conditioner


def plain_conditioner(kind: Kind) -> Plain:
    """Return the margin for classes, the absolute residual for values.

    Example:
        >>> from metaloss.conditioners import plain_conditioner
        >>> from metaloss.kinds import REGRESSION
        >>> plain_conditioner(REGRESSION).name
        'residual'
    """
    return Plain("margin", Margin()) if kind == CLASSIFICATION else Plain("residual", Residual())
