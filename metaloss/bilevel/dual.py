"""A value with its tangent, side by side and apart: the value's graph holds nothing of the tangent.

torch's own dual tensors do either of two things well. Under ``no_grad`` they carry tangents; where
gradients are recorded they record those of the tangents too, and every activation that the graph
keeps for the way back keeps its tangent with it. A training step wants the graph of the values and
the tangent of the outputs, no more. A :class:`Dual` stays outside of the graph, so that a tangent
is freed as soon as the model lets go of the activation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import torch
import torch.autograd.forward_ad as fwd
from torch import Tensor
from torch.utils._pytree import tree_iter, tree_map

from metaloss.bilevel.modes import Function

CARRYING: ContextVar[bool] = ContextVar("CARRYING", default=False)
"""Whether tangents are being carried."""


class NotCarriedError(Exception):
    """Something that cannot be done with a :class:`Dual`, though torch's dual tensors may do it."""


class NoForwardRuleError(Exception):
    """An operation that has no forward-mode rule in torch."""


class Dual(Tensor):
    r"""A value :math:`x` and its derivative :math:`\dot x` along a direction in the weights.

    Only while a :class:`~metaloss.bilevel.carry.Carry` is entered does it have a tangent; what a
    model has kept of it is its value afterwards.

    Args:
        primal: the value; part of whatever graph it is part of.
        tangent: of the same shape; part of none.
    """

    primal: Tensor
    tangent: Tensor

    @staticmethod
    def __new__(cls, primal: Tensor, tangent: Tensor) -> Dual:
        """Wrap the two."""
        if tangent.stride() != primal.stride():  # so that a view's tangent is a view of this one
            tangent = torch.empty_like(primal, requires_grad=False).copy_(tangent)
        dual: Dual = torch.Tensor._make_wrapper_subclass(
            cls,
            primal.shape,
            strides=primal.stride(),
            dtype=primal.dtype,
            device=primal.device,
            # So that an autograd.Function, which runs past us, leaves its mark: see `check`.
            requires_grad=True,
        )
        dual.primal, dual.tangent = primal, tangent
        return dual

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"Dual({self.primal!r}, {self.tangent!r})"

    @classmethod
    def __torch_function__(
        cls,
        func: Function,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Compute with the value alone: a Carry, while there is one, comes before this."""
        if CARRYING.get():
            raise NotCarriedError(f"{func} was called where function modes are switched off")
        return func(*tree_map(primal, tuple(args)), **tree_map(primal, dict(kwargs or {})))

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, *_: Any, **__: Any
    ) -> Any:
        """Refuse: whatever comes here came by a way on which no tangent is carried."""
        raise NotCarriedError(f"{func} was called past torch's function overrides")

    def check(self) -> None:
        """Raise ``NotCarriedError`` inside of an ``autograd.Function``, or for what one made.

        It computes with forward mode switched off, and its derivative is its own affair.
        """
        with torch._C.DisableTorchFunctionSubclass():
            marked = self.grad_fn is not None
        if marked or not torch._C._is_fwd_grad_enabled():
            raise NotCarriedError("an autograd.Function of one's own")


def primal(value: Any) -> Any:
    """The value without its tangent."""
    return value.primal if isinstance(value, Dual) else value


def tangent(value: Any) -> Tensor | None:
    """The tangent; ``None`` of what has none, which is zero."""
    return value.tangent if isinstance(value, Dual) else None


def held_fixed(func: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call ``func`` with the values alone, as autograd does where gradients are switched off."""
    duals = [value for value in tree_iter((args, kwargs)) if isinstance(value, Dual)]
    for dual in duals:
        dual.check()
    out = func(*tree_map(primal, tuple(args)), **tree_map(primal, dict(kwargs)))
    # What was written to in place keeps its tangent.
    return tree_map(lambda value: next((d for d in duals if d.primal is value), value), out)


def by_torch(func: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call ``func`` with torch's dual tensors for ours, and cut the tangents off what it returns.

    The level of forward-mode derivatives ends with the call, so that nothing of the tangents stays
    with what the graph saves.

    Raises:
        NoForwardRuleError: torch has no rule for it.
        NotCarriedError: it writes a tangent where none can be.
    """
    if not any(isinstance(value, Dual) for value in tree_iter((args, kwargs))):
        return func(*args, **kwargs)
    entered: dict[int, tuple[Dual, Tensor]] = {}
    others: list[tuple[Tensor, int]] = []

    def enter(value: Any) -> Any:
        if isinstance(value, Dual):
            if id(value) not in entered:
                value.check()
                entered[id(value)] = value, _make_dual(value.primal, value.tangent)
            return entered[id(value)][1]
        if isinstance(value, Tensor):
            others.append((value, value._version))
        return value

    def leave(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        for ours, theirs in entered.values():
            if value is theirs:
                return ours
        found = _tangent_of(value)
        return value if found is None else Dual(value, found)

    with fwd.dual_level():
        their_args, their_kwargs = tree_map(enter, (tuple(args), dict(kwargs)))
        versions = {key: theirs._version for key, (_, theirs) in entered.items()}
        try:
            out = func(*their_args, **their_kwargs)
        except NotImplementedError as error:
            raise NoForwardRuleError(getattr(func, "__name__", str(func))) from error
        for key, (ours, theirs) in entered.items():
            if (theirs.shape, theirs.stride()) != (ours.primal.shape, ours.primal.stride()):
                raise NotCarriedError(f"{func} changes a shape in place")
            if theirs._version != versions[key]:
                found = _tangent_of(theirs)
                ours.tangent = torch.zeros_like(theirs) if found is None else found
        for value, version in others:
            if value._version != version and _tangent_of(value) is not None:
                raise NotCarriedError(f"{func} writes into a tensor that has no tangent")
        return tree_map(leave, out)


def _make_dual(value: Tensor, direction: Tensor) -> Tensor:
    return fwd.make_dual(value, direction)  # type: ignore[no-untyped-call]


def _tangent_of(value: Tensor) -> Tensor | None:
    found = fwd.unpack_dual(value).tangent  # type: ignore[no-untyped-call]
    return None if found is None else found.detach()
