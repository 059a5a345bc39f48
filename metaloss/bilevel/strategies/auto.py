"""Mixed mode, with reverse mode as the fallback for operations without a forward-mode rule."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakSet

from torch import nn

from metaloss.bilevel.errors import NoTangentError
from metaloss.bilevel.solution import Solution
from metaloss.users_code import warn

_WITHOUT_FORWARD_MODE: WeakSet[nn.Module] = WeakSet()
"""Models in which an operation without a forward-mode rule was found."""


def auto(
    model: nn.Module, by_mixed: Callable[[], Solution], by_unroll: Callable[[], Solution]
) -> Solution:
    """Try mixed mode first; a model for which it has failed is not tried again."""
    if model not in _WITHOUT_FORWARD_MODE:
        try:
            return by_mixed()
        except NoTangentError as error:
            _WITHOUT_FORWARD_MODE.add(model)
            warn(f"falling back to 'unroll': {error}", RuntimeWarning)
    return by_unroll()
