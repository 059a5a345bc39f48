"""Tangents through a forward pass: cheap rules where networks spend their time, else torch's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from metaloss.bilevel.again import Convolved, Multiplied
from metaloss.bilevel.batch_norm import BatchNorm, Normalized, Statistics, push_forward
from metaloss.bilevel.dual import CARRYING, Dual, by_torch, held_fixed, primal, tangent
from metaloss.bilevel.kept import KEEPERS, LAYERS, Kept, refuse_hooks, weight_of
from metaloss.bilevel.modes import Between, Function


class Carry(Between):
    """While it is entered, a model called with :class:`Dual` weights carries their tangents along.

    Args:
        kept: what an earlier pass computed.
    """

    def __init__(self, kept: Kept) -> None:
        super().__init__()
        self.kept = kept

    def __enter__(self) -> Carry:
        """Begin to carry."""
        self.token = CARRYING.set(True)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *raised: Any) -> None:
        """End it."""
        super().__exit__(*raised)  # type: ignore[no-untyped-call]
        CARRYING.reset(self.token)

    def call(self, func: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call ``func`` and carry the tangents through it."""
        if func in _METADATA:
            return func(*map(primal, args), **kwargs)
        refuse_hooks(func)
        if not torch.is_grad_enabled():
            if func in KEEPERS:
                self.kept.take(func, weight_of(func, args, kwargs))
            return held_fixed(func, args, kwargs)
        rule = _RULES.get(func)
        if rule is not None:
            for value in args:
                if isinstance(value, Dual):
                    value.check()
            out = rule(self.kept, *args, **kwargs)
            if out is not NotImplemented:
                return out
        return by_torch(func, args, kwargs)


# A dual wears its value's own.
_METADATA: frozenset[Function] = frozenset(
    [
        *(getattr(Tensor, name).__get__ for name in ("shape", "dtype", "device", "ndim")),
        *(Tensor.size, Tensor.dim, Tensor.numel, Tensor.__len__, Tensor.is_floating_point),
    ]
)


def _layer(
    func: Function,
    kept: Kept,
    input: Any,
    weight: Any,
    bias: Any = None,
    *options: Any,
    **named: Any,
) -> Any:
    """What is linear in inputs and in weights: two calls for the tangent, none recorded."""
    x, w, b = primal(input), primal(weight), primal(bias)
    known = kept.take(func, w)
    out = None if known is None else _known(func, known.value, x, w, b, *options, **named)
    if out is None:
        out = func(x, w, b, *options, **named)
    dx, dw, db = tangent(input), tangent(weight), tangent(bias)
    with torch.no_grad():
        if dw is not None:
            moved = func(x, dw, db, *options, **named)
            if dx is not None:
                moved.add_(func(dx, w, None, *options, **named))
        elif dx is not None:
            moved = func(dx, w, db, *options, **named)
        elif db is not None:
            moved = func(torch.zeros_like(x), w, db, *options, **named)
        else:
            return out
    return Dual(out, moved)


def _known(
    func: Function,
    known: Tensor,
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor | None:
    """The known output as part of the graph; ``None`` where it must be computed after all."""
    if not any(t is not None and t.requires_grad for t in (x, w, b)):
        return known
    if func is F.linear:
        return Multiplied.apply(known, x, w, b)  # type: ignore[no-untyped-call]
    dims = w.ndim - 2
    if isinstance(padding, str) or x.ndim != w.ndim:
        return None
    stride, padding, dilation = (
        list(o) if isinstance(o, Sequence) else [o] * dims for o in (stride, padding, dilation)
    )
    return Convolved.apply(known, x, w, b, stride, padding, dilation, groups)  # type: ignore[no-untyped-call]


def _batch_norm(kept: Kept, *args: Any, **kwargs: Any) -> Any:
    given = BatchNorm(*args, **kwargs)
    x, w, b = primal(given.input), primal(given.weight), primal(given.bias)
    known = kept.take(F.batch_norm, w)
    if not given.training:
        return NotImplemented
    if known is None or x.is_cuda:  # whose kernels differ by rounding errors
        out, *found = given._replace(input=x, weight=w, bias=b)()
        known = Statistics(*(t.detach() for t in found))
    else:
        out = Normalized.apply(x, w, b, *known)  # type: ignore[no-untyped-call]
        _move_averages(given, known, x.numel())
    directions = tangent(given.input), tangent(given.weight), tangent(given.bias)
    with torch.no_grad():
        moved = push_forward(*directions, x, w, known)
    return out if moved is None else Dual(out, moved)


@torch.no_grad()
def _move_averages(given: BatchNorm, known: Statistics, elements: int) -> None:
    """What the kernel does where it computes the statistics itself."""
    mean, rstd = known
    if given.running_mean is not None:
        given.running_mean.mul_(1 - given.momentum).add_(mean, alpha=given.momentum)
    if given.running_var is not None:
        samples = elements // mean.numel()
        variance = rstd.pow(-2).sub_(given.eps).clamp_min_(0).mul_(samples / (samples - 1))
        given.running_var.mul_(1 - given.momentum).add_(variance, alpha=given.momentum)


def _relu(kept: Kept, input: Any, inplace: bool = False) -> Any:  # noqa: ARG001
    if not isinstance(input, Dual):
        return NotImplemented
    out = torch.relu_(input.primal) if inplace else torch.relu(input.primal)
    with torch.no_grad():
        moved = torch.ops.aten.threshold_backward(input.tangent, out, 0)
    if inplace:
        input.tangent.copy_(moved)
        return input
    return Dual(out, moved)


def _relu_(kept: Kept, input: Any) -> Any:
    return _relu(kept, input, inplace=True)


def _add_(kept: Kept, input: Any, other: Any, *, alpha: float = 1) -> Any:  # noqa: ARG001
    """In place, which torch's dual tensors would do through a view.

    The tangent too: that of a view is a view of it.
    """
    if not isinstance(input, Dual):
        return NotImplemented
    input.primal.add_(primal(other), alpha=alpha)
    moved = tangent(other)
    if moved is not None:
        input.tangent.add_(moved, alpha=alpha)
    return input


_RULES: dict[Function, Callable[..., Any]] = {
    **{func: partial(_layer, func) for func in LAYERS},
    F.batch_norm: _batch_norm,
    F.relu: _relu,
    torch.relu: _relu,
    Tensor.relu: _relu,
    torch.relu_: _relu_,
    Tensor.relu_: _relu_,
    Tensor.add_: _add_,
    Tensor.__iadd__: _add_,
}
