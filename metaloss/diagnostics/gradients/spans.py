"""When each module is called in a forward pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, NamedTuple

import torch

from metaloss.bilevel.problem import Problem
from metaloss.bilevel.step import Step


class Span(NamedTuple):
    """The first call of a module, in events of the forward pass.

    Attributes:
        begin: when it is called.
        end: when it returns.
    """

    begin: int
    end: int


def spans(problem: Problem, step: Step) -> dict[str, Span]:
    """Return when each module is called; modules that are not called are missing."""
    events = count()
    begun: dict[str, int] = {}
    ended: dict[str, int] = {}

    def note(name: str, times: dict[str, int]) -> Callable[..., None]:
        def noting(*_: object) -> None:
            times.setdefault(name, next(events))

        return noting

    hooks: list[Any] = []
    for name, module in problem.model.named_modules():
        hooks.append(module.register_forward_pre_hook(note(name, begun)))
        hooks.append(module.register_forward_hook(note(name, ended)))
    try:
        with torch.no_grad():
            step.outputs_at(problem, step.params)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: Span(begun[name], end) for name, end in ended.items()}


def following(called: Mapping[str, Span], begin: int, until: int | None) -> list[str]:
    """Return the modules that end between two events, in this order.

    Example:
        >>> from metaloss.diagnostics.gradients.spans import Span, following
        >>> called = {"": Span(0, 7), "first": Span(1, 2), "tanh": Span(3, 4), "last": Span(5, 6)}
        >>> following(called, begin=1, until=5)
        ['first', 'tanh']
    """
    ends = sorted((span.end, name) for name, span in called.items())
    return [name for end, name in ends if end > begin and (until is None or end < until)]
