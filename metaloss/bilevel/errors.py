"""Errors about operations that lack the derivative that a strategy needs."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from metaloss.checks import InputError


class NoRuleError(InputError):
    """The model has an operation without the derivative that a strategy needs."""


class NoTangentError(NoRuleError):
    """The model has an operation without a forward-mode rule."""


def no_forward_rule(model: nn.Module, error: Exception) -> NoTangentError:
    """Return the error for an operation without a forward-mode rule; ``error`` is torch's own."""
    return NoTangentError(
        f"strategy 'mixed': expected operations with a forward-mode rule, but the model"
        f"{_where(model, error)} has one without; use strategy='unroll', 'difference', or "
        f"'auto', which chooses by itself. torch says: {_said(error)}"
    )


def check_twice_differentiable(strategy: str, grads: Iterable[Tensor]) -> None:
    """Raise :class:`NoRuleError` if part of the gradients' graph has no derivative.

    At such a part, torch puts a node into the graph that raises an error when it is reached. If
    only constants lie behind the node, it is never reached, and the terms that lead through it
    would be left out without an error.
    """
    seen: set[Any] = set()
    coming = [g.grad_fn for g in grads if g.grad_fn is not None]
    while coming:
        node = coming.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.name() == "torch::autograd::Error":
            raise NoRuleError(_twice(strategy, "it is marked as differentiable once"))
        coming += [behind for behind, _ in node.next_functions if behind is not None]


@contextmanager
def second_derivatives(strategy: str) -> Iterator[None]:
    """Turn torch's errors about missing second derivatives into one that says what to do.

    Raises:
        NoRuleError: a second derivative is missing.
    """
    try:
        yield
    except RuntimeError as error:
        if not any(sign in str(error) for sign in ("not implemented", "differentiate twice")):
            raise
        raise NoRuleError(_twice(strategy, _said(error))) from error


def _twice(strategy: str, said: str) -> str:
    return (
        f"strategy {strategy!r}: expected operations that can be differentiated twice, but the "
        f"model has one that cannot; use strategy='difference'. torch says: {said}"
    )


def _said(error: BaseException) -> str:
    return str(error.__cause__ or error).splitlines()[0]


def _where(model: nn.Module, error: Exception) -> str:
    """Name the model's innermost module that the error passed through."""
    names = {id(module): name for name, module in model.named_modules() if name}
    owners = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
    inside = [owner for owner in owners if id(owner) in names]
    if not inside:
        return ""
    return f"'s {names[id(inside[-1])]} ({type(inside[-1]).__name__})"
