"""What the first pass keeps, within its budget, and what the second makes of it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from metaloss.bilevel import Lookahead, Problem, Solution
from metaloss.bilevel.again import Convolved, Multiplied
from metaloss.bilevel.batch_norm import Statistics
from metaloss.bilevel.carry import Carry
from metaloss.bilevel.dual import Dual, NotCarriedError
from metaloss.bilevel.kept import Keeping, Kept, Output
from metaloss.bilevel.lookahead import STRATEGIES
from metaloss.bilevel.unroll import unroll
from tests.bilevel.cases import training

WIDTHS = (6, 3, 5, 2, 4)
ROWS = 4


def weights() -> list[Tensor]:
    """Of a stack of linear layers; an element of the output takes as much work as inputs."""
    return [torch.randn(o, i).double() for i, o in pairwise(WIDTHS)]


def stack(x: Tensor, layers: list[Any]) -> list[Any]:
    found = []
    for w in layers:
        x = F.linear(x, w)
        found.append(x)
        x = torch.tanh(x)
    return found


def kept_of(x: Tensor, layers: list[Tensor], budget: float) -> Kept:
    kept = Kept(budget)
    with Keeping(kept):
        stack(x, layers)
    kept.trim()
    return kept


def sizes() -> dict[int, int]:
    """Bytes of each layer's output, in the order of the work that an element takes."""
    by_work = sorted(range(len(WIDTHS) - 1), key=lambda i: -WIDTHS[i])
    return {i: ROWS * WIDTHS[i + 1] * 8 for i in by_work}


@pytest.mark.parametrize("count", range(len(WIDTHS)))
def test_what_took_most_work_a_byte_is_kept_first(count: int):
    layers = weights()
    first = dict(list(sizes().items())[:count])
    kept = kept_of(torch.randn(ROWS, WIDTHS[0]).double(), layers, sum(first.values()))
    held = [i for i, w in enumerate(layers) if kept.take(F.linear, w) is not None]
    assert held == sorted(first)


@pytest.mark.parametrize("budget", [0.0, 63.0, 64.0, 100.0, 200.0, 300.0, float("inf")])
def test_no_more_is_kept_than_the_budget(budget: float):
    layers = weights()
    kept = kept_of(torch.randn(ROWS, WIDTHS[0]).double(), layers, budget)
    taken = [kept.take(F.linear, w) for w in layers]
    held = sum(t.value.untyped_storage().nbytes() for t in taken if t is not None)
    assert held <= budget
    assert (held == sum(sizes().values())) == (budget == float("inf"))


def test_something_smaller_fills_what_is_left():
    """The most work does not fit, the next does."""
    x, wide, narrow = torch.randn(4, 9), torch.randn(50, 9), torch.randn(2, 3)
    kept = Kept(32.0)
    with Keeping(kept):
        F.linear(x, wide)
        F.linear(x[:, :3], narrow)
    kept.trim()
    assert kept.take(F.linear, wide) is None
    assert kept.take(F.linear, narrow).value.shape == (4, 2)


def test_outputs_that_are_written_to_are_dropped():
    x, (one, two, *_) = torch.randn(ROWS, 6).double(), weights()
    kept = Kept(float("inf"))
    with Keeping(kept):
        first = F.linear(x, one)
        hidden = F.linear(first, two)
        first.relu_()
    kept.trim()
    assert kept.take(F.linear, one) is None
    assert torch.equal(kept.take(F.linear, two).value, hidden)


@pytest.mark.parametrize("write", [lambda h: h[0].zero_(), lambda h: F.relu(h, inplace=True)])
def test_a_tangent_pass_is_right_where_outputs_are_written_to(write):
    w, along = torch.randn(3, 6).double(), torch.randn(3, 6).double()
    x = torch.randn(ROWS, 6).double()

    def run(weight: Any) -> Any:
        h = F.linear(x, weight)
        write(h)
        return h * 2

    kept = Kept(float("inf"))
    with Keeping(kept):
        expected = run(w)
    kept.trim()
    with Carry(kept):
        found = run(Dual(w, along))
    torch.testing.assert_close(found.primal, expected)
    torch.testing.assert_close(found.tangent, torch.func.jvp(run, (w,), (along,))[1])


def test_statistics_are_kept_whatever_the_budget():
    x, w = torch.randn(8, 3).double(), torch.randn(3).double()
    kept = Kept(0.0)
    with Keeping(kept):
        out = F.batch_norm(x, None, None, w, training=True)
    kept.trim()
    found = kept.take(F.batch_norm, w)
    assert isinstance(found, Statistics)
    torch.testing.assert_close(found.mean, x.mean(0))
    torch.testing.assert_close((x - found.mean) * found.rstd * w, out)


def test_what_is_kept_is_taken_in_order_and_once():
    w = torch.randn(3, 6)
    kept = Kept(float("inf"))
    with Keeping(kept):
        outputs = [F.linear(torch.randn(ROWS, 6), w) for _ in range(3)]
    kept.trim()
    for expected in outputs:
        assert torch.equal(kept.take(F.linear, w).value, expected)
    assert kept.take(F.linear, w) is None
    assert not kept.calls


def test_another_order_of_calls_is_refused():
    x, w = torch.randn(4, 3).double(), torch.randn(3, 3).double()
    kept = Kept(float("inf"))
    with Keeping(kept):
        F.linear(x, w)
    with pytest.raises(NotCarriedError, match=r"linear.* before|before.*linear"), Carry(kept):
        F.batch_norm(Dual(x, x), None, None, training=True)


def test_other_weights_are_not_taken_for_the_same():
    x, (w, *_) = torch.randn(ROWS, 6).double(), weights()
    kept = kept_of(x, [w], float("inf"))
    assert kept.take(F.linear, w.clone()) is None
    kept = kept_of(x, [w], float("inf"))
    other, along = 2 * w, torch.randn_like(w)
    with Carry(kept):
        found = F.linear(x, Dual(other, along))
    torch.testing.assert_close(found.primal, x @ other.T)
    torch.testing.assert_close(found.tangent, x @ along.T)


def test_calls_that_are_held_fixed_keep_the_order():
    """A layer without gradients is noted in the first pass, and passed over in the second."""
    x, (one, *_) = torch.randn(ROWS, 6).double(), weights()
    two = torch.randn(5, 6).double()

    def run(first: Any, second: Any) -> Any:
        with torch.no_grad():
            still = F.linear(x, first)
        return still.sum() * F.linear(x, second)

    kept = Kept(float("inf"))
    with Keeping(kept):
        expected = run(one, two)
    kept.trim()
    with Carry(kept):
        found = run(Dual(one, torch.ones_like(one)), Dual(two, torch.ones_like(two)))
    assert not kept.calls
    torch.testing.assert_close(found.primal, expected)
    still = (x @ one.T).sum()
    torch.testing.assert_close(found.tangent, still * (x @ torch.ones_like(two).T))


def test_what_is_known_is_not_computed_again():
    """The first pass's very number, though another was put there since."""
    x, w = torch.randn(ROWS, 6).double(), torch.randn(3, 6).double().requires_grad_()
    kept = Kept(float("inf"))
    wrong = torch.full((ROWS, 3), 7.0).double()
    kept.put(F.linear, w, Output(wrong, wrong._version, 6))
    with Carry(kept):
        found = F.linear(x, Dual(w, torch.ones_like(w).detach()))
    assert torch.equal(found.primal, wrong)
    assert found.primal.requires_grad
    assert found.primal.data_ptr() == wrong.data_ptr()


# Known outputs as part of a graph


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("shape", [(5, 4), (2, 3, 4), (4,)], ids=str)
def test_a_known_linear_layer_has_its_derivatives(shape: tuple[int, ...], biased: bool):
    args = [torch.randn(s).double().requires_grad_() for s in (shape, (3, 4), (3,))]
    if not biased:
        args[2] = None

    def known(*given: Any) -> Tensor:
        return Multiplied.apply(F.linear(*(g if g is None else g.detach() for g in given)), *given)

    assert torch.autograd.gradcheck(known, args)
    assert torch.autograd.gradgradcheck(known, args)


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize(
    ("shape", "kernel", "options"),
    [
        ((2, 2, 5), (4, 2, 3), ([2], [1], [1], 1)),
        ((2, 2, 4, 3), (4, 1, 2, 2), ([1, 2], [0, 1], [2, 1], 2)),
        ((1, 2, 3, 3, 2), (2, 2, 2, 2, 2), ([1, 1, 1], [0, 0, 1], [1, 1, 1], 1)),
    ],
)
def test_a_known_convolution_has_its_derivatives(shape, kernel, options, biased: bool):
    args = [torch.randn(s).double().requires_grad_() for s in (shape, kernel, kernel[:1])]
    if not biased:
        args[2] = None
    convolve = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}[len(shape)]

    def known(*given: Any) -> Tensor:
        value = convolve(*(g if g is None else g.detach() for g in given), *options)
        return Convolved.apply(value, *given, *options)

    assert torch.autograd.gradcheck(known, args)
    assert torch.autograd.gradgradcheck(known, args)


def test_a_budget_is_in_mebibytes(monkeypatch: pytest.MonkeyPatch) -> None:
    budgets = []

    def strategy(problem: Problem) -> Solution:
        budgets.append(problem.budget)
        return unroll(problem)

    monkeypatch.setitem(STRATEGIES, "mixed", strategy)
    training().look_ahead(Lookahead(keep=1.5))
    assert budgets == [1.5 * 1024 * 1024]
