"""What conditioners side by side all read, computed once.

Four of the parts of one conditioner may begin with the margin. It is a handful of small operations,
and small operations are all that an adjuster costs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from functools import wraps
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_Found = list[tuple[Callable[..., Any], tuple[Any, ...], Any]]
_found: ContextVar[_Found | None] = ContextVar("found", default=None)


class SideBySide:
    """While it is entered, functions marked :func:`once` remember what they found.

    Example:
        >>> import torch
        >>> from metaloss.conditioners.margin import margins
        >>> from metaloss.conditioners.once import SideBySide
        >>> outputs, labels = torch.zeros(1, 2), torch.tensor([0])
        >>> with SideBySide():
        ...     margins(outputs, labels) is margins(outputs, labels)
        True
        >>> margins(outputs, labels) is margins(outputs, labels)
        False
    """

    _before: Token[_Found | None] | None = None

    def __enter__(self) -> None:
        if _found.get() is None:  # inside of another one, what that has found will do
            self._before = _found.set([])

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._before is not None:
            _found.reset(self._before)


def once(function: Callable[P, T]) -> Callable[P, T]:
    """Let a pure function of a batch's tensors be computed once where several ask side by side.

    The same tensors are the same objects, which none of those who ask may change.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        found = _found.get()
        if found is None or kwargs:
            return function(*args, **kwargs)
        for what, given, result in found:
            if what is function and all(a is b for a, b in zip(given, args, strict=True)):
                return result
        result = function(*args, **kwargs)
        found.append((function, args, result))
        return result

    return call
