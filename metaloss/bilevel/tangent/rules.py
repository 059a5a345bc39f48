"""Forward-mode rules for functions whose rule in torch is slow, or whose output is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch.autograd.forward_ad as fwd
import torch.nn.functional as F
from torch import Tensor

from metaloss.bilevel.function_modes import Function
from metaloss.bilevel.tangent.activations import LAYERS, Activations
from metaloss.bilevel.tangent.batch_norm import BatchNorm, Statistics, push_forward


class FastTangents:
    """Calls torch functions in forward mode, some of them by faster rules.

    Args:
        activations: the layer outputs kept from the training step, if any.
    """

    def __init__(self, activations: Activations | None = None) -> None:
        self.activations = activations

    def __call__(self, func: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Return the result of ``func``, with a tangent if an argument has one."""
        if func is F.batch_norm:
            given = BatchNorm(*args, **kwargs)
            if given.training:
                return _batch_norm(given)
        if func in LAYERS:
            return _layer(self.activations, func, *args, **kwargs)
        return func(*args, **kwargs)


def _batch_norm(given: BatchNorm) -> Tensor:
    (x, dx), (w, dw), (b, db) = map(_unpacked, (given.input, given.weight, given.bias))
    assert x is not None
    with fwd._set_fwd_grad_enabled(False):
        out, *statistics = given._replace(input=x, weight=w, bias=b)()
        moved = push_forward(dx, dw, db, x, w, Statistics(*statistics))
    return _with_tangent(out, moved)


def _layer(
    activations: Activations | None,
    func: Function,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *options: Any,
    **named: Any,
) -> Tensor:
    """Call a layer that is linear in its inputs and in its weights."""
    (x, dx), (w, dw), (b, db) = map(_unpacked, (input, weight, bias))
    assert w is not None
    known = None if activations is None else activations.take(func, w)
    if dw is None:
        return func(input, weight, bias, *options, **named)
    with fwd._set_fwd_grad_enabled(False):
        out = func(x, w, b, *options, **named) if known is None else known
        moved = func(x, dw, db, *options, **named)
        if dx is not None:
            moved.add_(func(dx, w, None, *options, **named))
    return _with_tangent(out, moved)


def _unpacked(value: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    if value is None:
        return None, None
    found = fwd.unpack_dual(value)  # type: ignore[no-untyped-call]
    return found.primal, found.tangent


def _with_tangent(value: Tensor, tangent: Tensor | None) -> Tensor:
    if tangent is None:
        return value
    return fwd.make_dual(value, tangent)  # type: ignore[no-untyped-call]
