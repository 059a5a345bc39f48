"""A missing derivative is named, avoided or refused, but never left out."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from metaloss import InputError
from metaloss.bilevel import Lookahead
from tests.bilevel.cases import OPTIMIZERS, training
from tests.bilevel.models import CLASSES
from tests.helpers.hypergradients import Training, inner


class Square(torch.autograd.Function):
    """A function without a forward-mode rule."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Tensor:
        return 2 * ctx.saved_tensors[0] * slopes[0]


class SquareOnce(torch.autograd.Function):
    """A function with a forward-mode rule and without a second derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)
        return x * x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *slopes: Tensor) -> Tensor:
        return 2 * ctx.saved_tensors[0] * slopes[0]

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor) -> Tensor:
        return 2 * ctx.saved_tensors[0] * tangents[0]


class Applied(nn.Module):
    """A module that applies a custom function."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Bag(nn.Module):
    """A bag of words whose words are the pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Sequential(nn.Flatten(), nn.EmbeddingBag(50, 8, mode="mean"))
        self.last = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.words((x.abs() * 10).long().clamp(max=49))))


def here(function: Any, steps: int = 1) -> Training:
    torch.manual_seed(4)
    inner_part = nn.Sequential(nn.Linear(36, 8), Applied(function))
    model = nn.Sequential(nn.Flatten(), inner_part, nn.Linear(8, CLASSES))
    return training(model, OPTIMIZERS["SGD-Nesterov"], steps=steps, steps_before=1)


def assert_near(found: dict[str, Tensor], expected: dict[str, Tensor], rtol: float) -> None:
    gap = {name: found[name] - expected[name] for name in expected}
    length = inner(expected, expected) ** 0.5
    assert length > 1e-5
    assert inner(gap, gap) ** 0.5 < rtol * length


@pytest.mark.parametrize("steps", [1, 2])
def test_an_operation_without_a_forward_rule_is_named_with_alternatives(steps: int):
    with pytest.raises(InputError) as error:
        here(Square.apply, steps).look_ahead(Lookahead(steps))
    assert "'s 1.1 (Applied)" in str(error.value)
    for way in ("unroll", "difference", "auto"):
        assert f"'{way}'" in str(error.value)


def test_an_operation_of_torch_without_a_forward_rule_is_named():
    with pytest.raises(InputError, match=r"'s words\.1 \(EmbeddingBag\) has one without"):
        training(Bag()).look_ahead(Lookahead())


@pytest.mark.parametrize("steps", [1, 2])
def test_auto_unrolls_without_a_forward_rule_and_warns_once(steps: int):
    start = here(Square.apply, steps)
    expected = start.look_ahead(Lookahead(steps, "unroll"))
    lookahead = Lookahead(steps, "auto")
    with pytest.warns(RuntimeWarning, match=r"'unroll': .*1\.1 \(Applied\)") as told:
        assert_near(start.look_ahead(lookahead), expected, 1e-9)
    assert sum(issubclass(item.category, RuntimeWarning) for item in told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert_near(start.look_ahead(lookahead), expected, 1e-9)


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("strategy", ["mixed", "auto"])
def test_auto_does_not_warn_without_a_reason(strategy: str, steps: int):
    start = here(torch.square, steps)
    expected = start.look_ahead(Lookahead(steps, "unroll"))
    assert_near(start.look_ahead(Lookahead(steps, strategy)), expected, 1e-9)


@pytest.mark.parametrize(
    ("strategy", "steps"), [("unroll", 1), ("unroll", 2), ("mixed", 2), ("auto", 2)]
)
def test_functions_that_are_differentiable_once_are_refused(strategy: str, steps: int):
    """torch would drop its terms silently, because the error node is on no path to theta."""
    with pytest.raises(InputError, match=r"twice.*'difference'"):
        here(SquareOnce.apply, steps).look_ahead(Lookahead(steps, strategy))


def test_one_mixed_step_needs_no_second_derivative():
    expected = here(torch.square).look_ahead(Lookahead(strategy="unroll"))
    assert_near(here(SquareOnce.apply).look_ahead(Lookahead()), expected, 1e-9)


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("function", [Square.apply, SquareOnce.apply])
def test_differences_only_need_gradients(function: Any, steps: int):
    expected = here(torch.square, steps).look_ahead(Lookahead(steps, "unroll"))
    found = here(function, steps).look_ahead(Lookahead(steps, "difference"))
    assert_near(found, expected, 1e-5)


@pytest.mark.parametrize("strategy", ["unroll", "mixed"])
def test_an_operation_of_torch_without_a_second_derivative_offers_differences(strategy: str):
    with pytest.raises(InputError, match=r"twice.*'difference'"):
        training(Bag(), steps=2).look_ahead(Lookahead(2, strategy))
