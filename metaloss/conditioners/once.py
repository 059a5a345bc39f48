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

import torch

P = ParamSpec("P")
T = TypeVar("T")

_Found = list[tuple[Callable[..., Any], bool, tuple[Any, ...], Any]]
_found: ContextVar[_Found | None] = ContextVar("found", default=None)
# torch.compile cannot trace what is kept here, and finds what is computed twice by itself.
_compiling = torch.compiler.is_compiling


class Sharing:
    """While it is entered, functions marked :func:`once` remember what they found.

    Example:
        >>> import torch
        >>> from metaloss.conditioners.margin import margins
        >>> from metaloss.conditioners.once import Sharing
        >>> outputs, labels = torch.zeros(1, 2), torch.tensor([0])
        >>> with Sharing():
        ...     margins(outputs, labels) is margins(outputs, labels)
        True
        >>> margins(outputs, labels) is margins(outputs, labels)
        False
    """

    _before: Token[_Found | None] | None = None

    def __enter__(self) -> None:
        # Inside of another one, what that has found will do.
        if not _compiling() and _found.get() is None:
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

    The same tensors are the same objects, and so is what is found of them: nobody may change it in
    place.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        found = None if _compiling() or kwargs else _found.get()
        if found is None:
            return function(*args, **kwargs)
        graph = torch.is_grad_enabled()
        for what, with_graph, given, result in found:
            if what is function and with_graph == graph and _same(given, args):
                return result
        result = function(*args, **kwargs)
        found.append((function, graph, args, result))
        return result

    return call


def _same(given: tuple[Any, ...], asked: tuple[Any, ...]) -> bool:
    return len(given) == len(asked) and all(a is b for a, b in zip(given, asked, strict=True))
