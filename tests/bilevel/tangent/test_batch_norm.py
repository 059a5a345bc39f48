"""Batch normalization by its fused kernels: values, derivatives and second derivatives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from metaloss.bilevel.tangent.batch_norm import (
    FastSecondDerivatives,
    Normalized,
    Statistics,
    normalize,
    pull_back,
    push_forward,
)
from tests.helpers.exhaustive import all_pairs

SHAPES = [(7, 3), (4, 3, 5), (3, 3, 2, 2), (2, 3, 2, 1, 2)]
AFFINE = [(True, True), (True, False), (False, True), (False, False)]
EPS = 1e-3

shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)
affine = pytest.mark.parametrize(("with_weight", "with_bias"), AFFINE)


def drawn(
    shape: tuple[int, ...], with_weight: bool, with_bias: bool, dtype: torch.dtype = torch.float64
) -> list[Tensor | None]:
    """Return inputs with a nonzero mean, a weight and a bias."""
    x = (2 * torch.randn(shape) + 1).to(dtype).requires_grad_()
    w, b = (torch.randn(shape[1], dtype=dtype).requires_grad_() for _ in range(2))
    return [x, w if with_weight else None, b if with_bias else None]


def by_kernel(
    x: Tensor, w: Tensor | None, b: Tensor | None, eps: float = EPS
) -> tuple[Tensor, Statistics]:
    """Return torch's outputs in training mode, and the batch statistics."""
    out, *found = torch.native_batch_norm(x, w, b, None, None, True, 0.1, eps)
    return out, Statistics(*found)


def known_outputs(*args: Any) -> Tensor:
    with torch.no_grad():
        out, known = by_kernel(*args)
    return Normalized.apply(*args, *known, out)


def fused(x: Tensor, w: Tensor | None, b: Tensor | None) -> Tensor:
    with FastSecondDerivatives():
        return F.batch_norm(x, None, None, w, b, training=True, eps=EPS)


MAKERS = {"known_outputs": known_outputs, "fused": fused}
makers = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


@all_pairs("make, shape, affine", MAKERS, SHAPES, AFFINE)
def test_first_and_second_derivatives(make, shape, affine: tuple[bool, bool]):
    args = drawn(shape, *affine)
    assert gradcheck(make, args)
    assert gradgradcheck(make, args)


@makers
@pytest.mark.parametrize("which", [0, 1, 2])
def test_derivatives_in_one_argument_alone(make, which: int):
    args = drawn((4, 3, 2, 2), True, True)
    for other in {0, 1, 2} - {which}:
        args[other] = args[other].detach()
    assert gradcheck(make, args)
    # The bias enters linearly, so its second derivatives are all zero.
    if which != 2:
        assert gradgradcheck(make, args)


# Without a weight, torch loses the second derivatives in the bias; gradgradcheck in the test above
# covers that case.
@makers
@shapes
@pytest.mark.parametrize(
    ("with_weight", "with_bias"), [(True, True), (True, False), (False, False)]
)
def test_derivatives_are_those_of_torch(make, shape, with_weight: bool, with_bias: bool):
    args = drawn(shape, with_weight, with_bias)
    leaves = [a for a in args if a is not None]
    slope, weights = torch.randn(shape).double(), [torch.randn_like(a) for a in leaves]
    found = []
    for function in (make, lambda *a: by_kernel(*a)[0]):
        out = function(*args)
        first = torch.autograd.grad(out, leaves, slope, create_graph=True)
        along = sum((f * w).sum() for f, w in zip(first, weights, strict=True))
        second = torch.autograd.grad(along, leaves, allow_unused=True)
        zeros = (torch.zeros_like(a) for a in leaves)
        second = [z if s is None else s for s, z in zip(second, zeros, strict=True)]
        found.append([out, *first, *second])
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-10)


@all_pairs(
    "shape, layout, dtype, affine",
    [(2, 3, 2, 2), (16, 5, 7, 9), (10, 64, 8, 8)],
    [torch.contiguous_format, torch.channels_last],
    [torch.float32, torch.float64],
    AFFINE,
)
def test_values_are_the_kernels_to_the_last_bit(
    shape, layout, dtype: torch.dtype, affine: tuple[bool, bool]
):
    x, w, b = drawn(shape, *affine, dtype)
    x = x.detach().contiguous(memory_format=layout)
    expected, known = by_kernel(x, w, b, 1e-5)
    found = normalize(x, w, b, known)
    assert torch.equal(found, expected)
    assert found.stride() == expected.stride()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("shape", [(50, 8), (7, 5, 33), (3, 4, 5, 6, 7)], ids=str)
@affine
def test_values_are_the_kernels_without_images_too(
    shape, dtype: torch.dtype, with_weight: bool, with_bias: bool
):
    x, w, b = drawn(shape, with_weight, with_bias, dtype)
    expected, known = by_kernel(x, w, b, 1e-5)
    assert torch.equal(normalize(x, w, b, known), expected)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("momentum", [0.1, 0.7])
def test_running_statistics_move_as_by_torch(momentum: float, training: bool):
    x, w, b = drawn((4, 3, 2, 2), True, True)
    found, expected = ([torch.randn(3).double(), torch.rand(3).double() + 0.5] for _ in range(2))
    for one, other in zip(found, expected, strict=True):
        one.copy_(other)
    with FastSecondDerivatives():
        out = F.batch_norm(x, *found, w, b, training, momentum, EPS)
    again = F.batch_norm(x, *expected, w, b, training, momentum, EPS)
    torch.testing.assert_close([out, *found], [again, *expected], rtol=1e-12, atol=1e-12)


# Tangents


HAVE = [(a, b, c) for a in (True, False) for b in (True, False) for c in (True, False)]


@shapes
@pytest.mark.parametrize("have", HAVE, ids=str)
def test_tangents_are_the_adjoint_of_the_gradients(shape, have: tuple[bool, bool, bool]):
    x, w, b = (t.detach() for t in drawn(shape, True, True))
    _, known = by_kernel(x, w, b)
    along = [torch.randn_like(t) if has else None for t, has in zip((x, w, b), have, strict=True)]
    slope = torch.randn(shape).double()
    moved = push_forward(*along, x, w, known)
    if not any(have):
        assert moved is None
        return
    pulled = pull_back(slope, x, w, known)
    expected = sum(
        float((p * t).sum()) for p, t in zip(pulled, along, strict=True) if t is not None
    )
    assert float((moved * slope).sum()) == pytest.approx(expected, rel=1e-9)


@shapes
def test_tangents_without_weight_and_bias(shape):
    x = drawn(shape, False, False)[0].detach()
    out, known = by_kernel(x, None, None)
    along = torch.randn_like(x)
    _, expected = torch.autograd.functional.jvp(lambda t: by_kernel(t, None, None)[0], x, along)
    torch.testing.assert_close(push_forward(along, None, None, x, None, known), expected)
    torch.testing.assert_close(normalize(x, None, None, known), out)
