"""PolySoft with ranges from which a new network can learn."""

from __future__ import annotations

import math

from metaloss.checks import check_at_least, require
from metaloss.losses.derived import Ranged
from metaloss.losses.polysoft import PolySoft

MOST_CLASSES = 8000  # for which 1 + log c is less than 10, the highest lambda of PolySoft


def polysoft_above_guessing(num_classes: int) -> Ranged:
    r"""Return PolySoft with :math:`\lambda` from :math:`1 + \log c` to 10.

    A network that knows nothing has a cross entropy of :math:`\log c` on every sample. PolySoft is
    constant from :math:`\lambda` on: with a lower :math:`\lambda` such a network has no gradient.

    Args:
        num_classes: c, from 2 to 8,000.

    Raises:
        InputError: another number of classes.

    Example:
        >>> from metaloss.losses import polysoft_above_guessing
        >>> round(polysoft_above_guessing(10).hyperparameters[0].low, 3)
        3.303
    """
    check_at_least("num_classes", num_classes, 2)
    require(
        num_classes <= MOST_CLASSES,
        f"num_classes: expected at most {MOST_CLASSES:,}, beyond which PolySoft teaches a new "
        f"network nothing, got {num_classes:,}",
    )
    return Ranged(PolySoft(), {"lam": (1 + math.log(num_classes), 10.0)})
