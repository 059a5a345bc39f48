"""The fast forward-mode rules, compared with torch's own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from itertools import product
from typing import Any

import pytest
import torch
import torch.autograd.forward_ad as fwd
import torch.nn.functional as F
from torch import Tensor

from metaloss.bilevel.strategies.mixed import ForwardMode
from metaloss.bilevel.tangent import Activations, FastTangents

Call = Callable[..., Tensor]


def norm(x: Tensor, w: Tensor | None, b: Tensor | None) -> Tensor:
    return F.batch_norm(x, None, None, w, b, training=True)


def norm_by_memory(x: Tensor, w: Tensor | None, b: Tensor | None) -> Tensor:
    ones = torch.ones(x.shape[1], dtype=x.dtype)
    return F.batch_norm(x, 0.3 * ones, 2 * ones, w, b)


CALLS: dict[str, tuple[Call, list[tuple[int, ...] | None]]] = {
    "linear": (F.linear, [(4, 3), (5, 3), (5,)]),
    "linear without bias": (F.linear, [(2, 4, 3), (5, 3), None]),
    "conv1d": (F.conv1d, [(4, 2, 6), (3, 2, 3), (3,)]),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, 2, padding=1), [(4, 2, 6, 6), (3, 2, 3, 3), None]),
    "grouped conv2d": (
        lambda x, w, b: F.conv2d(x, weight=w, bias=b, groups=2, dilation=2),
        [(4, 2, 6, 6), (4, 1, 3, 3), (4,)],
    ),
    "conv3d": (F.conv3d, [(2, 2, 4, 4, 4), (3, 2, 2, 2, 2), (3,)]),
    "batch norm": (norm, [(4, 3, 2, 2), (3,), (3,)]),
    "batch norm without weights": (norm, [(6, 3), None, None]),
    "batch norm by its memory": (norm_by_memory, [(6, 3), (3,), (3,)]),
}


def pushed(call: Call, tensors: list[Any], along: list[Any], mode: AbstractContextManager) -> Any:
    """Return the value and the tangent."""
    with fwd.dual_level():
        duals = [
            t if u is None else fwd.make_dual(t, u) for t, u in zip(tensors, along, strict=True)
        ]
        with mode:
            out = call(*duals)
        value, tangent = fwd.unpack_dual(out)
    return value, torch.zeros_like(value) if tangent is None else tangent


@pytest.mark.parametrize("kept", [False, True], ids=["afresh", "kept"])
@pytest.mark.parametrize("name", CALLS)
def test_values_and_tangents_are_those_of_torch(name: str, kept: bool) -> None:
    call, shapes = CALLS[name]
    tensors = [None if s is None else torch.randn(s, dtype=torch.float64) for s in shapes]
    for moves in product([False, True], repeat=3):
        along = [
            torch.randn_like(t) if t is not None and move else None
            for t, move in zip(tensors, moves, strict=True)
        ]
        activations = recorded(call, tensors) if kept else None
        rules = ForwardMode(FastTangents(activations))
        found = pushed(call, tensors, along, rules)
        expected = pushed(call, tensors, along, nullcontext())
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
        assert activations is None or activations.matched


def recorded(call: Call, tensors: list[Any]) -> Activations:
    """Return the activations kept from a training step with these weights."""
    params = {str(k): t.clone().requires_grad_() for k, t in enumerate(tensors) if t is not None}
    copies = {str(k): t for k, t in enumerate(tensors) if t is not None}
    activations = Activations(params, copies, float("inf"))
    with activations.recorded():
        call(*(None if t is None else params[str(k)] for k, t in enumerate(tensors)))
    activations.trim()
    return activations


def test_running_statistics_are_moved_once() -> None:
    x, direction = torch.randn(8, 3, 2, 2), torch.randn(8, 3, 2, 2)
    memories = []
    for mode in (nullcontext(), ForwardMode(FastTangents())):
        memory = torch.zeros(3), torch.ones(3)
        call = lambda x, memory=memory: F.batch_norm(x, *memory, training=True)  # noqa: E731
        pushed(call, [x], [direction], mode)
        memories.append(memory)
    torch.testing.assert_close(*memories)


def test_tangents_stop_under_no_grad() -> None:
    def half_held(x: Tensor) -> Tensor:
        with torch.no_grad():
            held = x * x
        return x * held

    x, u = torch.tensor([3.0]), torch.tensor([1.0])
    _, tangent = pushed(half_held, [x], [u], ForwardMode(FastTangents()))
    assert tangent.tolist() == [9.0]
