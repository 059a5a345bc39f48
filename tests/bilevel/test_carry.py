"""Function by function: value, tangent and graph are torch's, however the function is called."""

from __future__ import annotations

import copy
import pickle
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

import metaloss.bilevel.dual
from metaloss.bilevel import Lookahead
from metaloss.bilevel.carry import Carry
from metaloss.bilevel.dual import Dual, NoForwardRuleError, NotCarriedError
from metaloss.bilevel.kept import Keeping, Kept
from tests.bilevel.cases import CLASSES, MODELS, Recurrent, mlp, training
from tests.bilevel.test_rules import SquareOnce
from tests.bilevel.test_shared_pass import solve

Function = Callable[..., Any]


@dataclass(frozen=True)
class Call:
    """A function and the shapes of its tensors; ``None`` for one that is not given."""

    func: Function
    shapes: tuple[tuple[int, ...] | None, ...]
    options: dict[str, Any] = field(default_factory=dict)

    def __call__(self, *tensors: Any) -> Any:
        return self.func(*tensors, **self.options)

    def __str__(self) -> str:
        given = ", ".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.func.__name__} {self.shapes}, {given}"


LAYER_CALLS = [
    Call(F.linear, ((5, 4), (3, 4), (3,))),
    Call(F.linear, ((5, 4), (3, 4), None)),
    Call(F.linear, ((4,), (3, 4), (3,))),
    Call(F.linear, ((2, 3, 5, 4), (3, 4), (3,))),
    Call(F.conv1d, ((2, 4, 9), (6, 4, 3), (6,))),
    Call(F.conv1d, ((2, 4, 9), (6, 2, 3), None), {"groups": 2, "padding": "same", "dilation": 2}),
    Call(F.conv1d, ((4, 9), (6, 4, 3), (6,)), {"stride": 2}),
    Call(F.conv2d, ((2, 4, 6, 7), (6, 4, 3, 3), (6,))),
    Call(F.conv2d, ((2, 4, 6, 7), (6, 4, 3, 3), None), {"stride": 2, "padding": 1}),
    Call(F.conv2d, ((2, 4, 6, 7), (6, 4, 3, 2), (6,)), {"stride": (2, 1), "padding": (0, 1)}),
    Call(F.conv2d, ((2, 4, 6, 7), (6, 4, 3, 3), (6,)), {"padding": "same", "dilation": (1, 2)}),
    Call(F.conv2d, ((2, 4, 6, 7), (6, 4, 3, 3), None), {"padding": "valid"}),
    Call(F.conv2d, ((2, 4, 6, 7), (4, 1, 3, 3), (4,)), {"groups": 4, "padding": 1}),
    Call(F.conv2d, ((4, 6, 7), (6, 4, 3, 3), (6,)), {"padding": 1}),
    Call(F.conv3d, ((1, 2, 4, 5, 4), (3, 2, 2, 3, 2), (3,)), {"stride": 2, "padding": (1, 0, 1)}),
    Call(F.conv3d, ((1, 2, 4, 5, 4), (4, 1, 2, 2, 2), None), {"groups": 2, "dilation": 2}),
]


def batch_norm_without_memory(x: Tensor, w: Any, b: Any) -> Tensor:
    return F.batch_norm(x, None, None, w, b, training=True)


def batch_norm_with_memory(x: Tensor, w: Any, b: Any) -> Tensor:
    mean, var = x.new_zeros(3), x.new_ones(3)
    return F.batch_norm(x, mean, var, w, b, training=True, momentum=0.3, eps=1e-3)


def batch_norm_by_memory(x: Tensor, w: Any, b: Any) -> Tensor:
    mean, var = torch.arange(3.0).double(), torch.arange(1.0, 4).double()
    return F.batch_norm(x, mean, var, weight=w, bias=b, eps=1e-3)


NORM_CALLS = [
    Call(norm, (shape, *rest))
    for norm in (batch_norm_without_memory, batch_norm_with_memory, batch_norm_by_memory)
    for shape in ((6, 3), (4, 3, 5), (3, 3, 2, 4), (2, 3, 2, 2, 2))
    for rest in (((3,), (3,)), ((3,), None), (None, (3,)), (None, None))
]


def rectified_in_place(x: Tensor) -> Tensor:
    x = x * 1
    out = F.relu(x, inplace=True)
    return out + x


def rectified_by_method(x: Tensor) -> Tensor:
    x = x * 1
    return x.relu() + torch.relu_(x * 2) + x.relu_()


def added_in_place(x: Tensor, y: Tensor) -> Tensor:
    x = x + 0 * y  # what is written to must have a tangent
    x.add_(y, alpha=-3)
    x += y.sin()
    x.add_(2)
    return x


def added_in_a_row(x: Tensor, y: Tensor) -> Tensor:
    x = x + 0 * y
    x += y[0]
    return x


def rectifiers(x: Tensor) -> Tensor:
    return F.relu(x) + torch.relu(x) * 2 + F.leaky_relu(x) + F.relu6(x) + F.hardtanh(x)


def sliced(x: Tensor) -> Tensor:
    x = x * 1
    x[:, 0] = x[:, 1].clone() ** 2
    x[x > 1] = 0.5
    x[0] *= 3
    return x


def written(x: Tensor) -> Tensor:
    return (x * 1).mul_(2).clamp_(-1, 1.5).sin_().div_(3).masked_fill_(x > 0.4, 2.0)


def in_parts(x: Tensor) -> Tensor:
    one, two = x.chunk(2, dim=1)
    three, four, *_ = x.split([1, 1, 2], dim=1)
    return torch.cat([one * two, torch.stack(x.unbind(1)).T, three - four], dim=1)


def shapes_read(x: Tensor) -> Tensor:
    rows, columns = x.shape
    assert x.size(0) == rows == len(x)
    assert x.numel() == rows * columns
    assert x.dim() == x.ndim == 2
    assert x.is_floating_point()
    assert x.dtype == torch.float64
    return x.view(columns, rows).reshape(-1)[: x.size(1)] / columns


def detached_in_part(x: Tensor) -> Tensor:
    with torch.no_grad():
        held = x * 2
    return x * held + x.detach()


def by_order(x: Tensor) -> Tensor:
    values, places = x.sort(dim=1)
    top = x.topk(2, dim=1).values.sum(1, keepdim=True)
    return values * places + x.max(dim=1, keepdim=True).values + top


def pooled(x: Tensor) -> Tensor:
    small = F.max_pool2d(x, 2) + F.avg_pool2d(x, 2) + F.adaptive_avg_pool2d(x, 2)
    return F.interpolate(F.pad(small, (1, 0, 0, 1)), scale_factor=2, mode="bilinear")


def normed(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return (
        F.layer_norm(x, (4,), w, b) + F.group_norm(x, 2, w, b) + F.normalize(x) + F.rms_norm(x, [4])
    )


def activations(x: Tensor) -> Tensor:
    return F.gelu(x) * F.silu(x) + F.softmax(x, 1) * F.log_softmax(x, 0) + F.elu(x) + F.mish(x)


def products(x: Tensor, y: Tensor) -> Tensor:
    return x @ y.T + torch.einsum("ij,kj->ik", x, y) + torch.addmm(x @ y.T, x, y.T) + (x * y).sum()


def attention(x: Tensor, y: Tensor) -> Tensor:
    q, k = x[None, None], y[None, None]
    with sdpa_kernel(SDPBackend.MATH):
        return F.scaled_dot_product_attention(q, k, k, is_causal=True)


def looked_up(x: Tensor) -> Tensor:
    rows = torch.tensor([0, 3, 3, 1])
    return (
        F.embedding(rows, x) + x.index_select(0, rows) + x[rows].gather(1, torch.zeros(4, 1).long())
    )


def chosen(x: Tensor, y: Tensor) -> Tensor:
    return torch.where(x > y, x.exp(), y**2) + torch.maximum(x, y) + x.lerp(y, 0.3)


OTHER_CALLS = [
    *(Call(f, ((5, 4),)) for f in (rectifiers, rectified_in_place, rectified_by_method)),
    *(Call(f, ((5, 4),)) for f in (sliced, written, in_parts, shapes_read, by_order, activations)),
    Call(detached_in_part, ((5, 4),)),
    Call(pooled, ((2, 3, 4, 4),)),
    Call(normed, ((5, 4), (4,), (4,))),
    Call(looked_up, ((4, 3),)),
    *(Call(f, ((5, 4), (5, 4))) for f in (added_in_place, added_in_a_row, products, chosen)),
    Call(attention, ((5, 4), (5, 4))),
]


def drawn(shape: tuple[int, ...] | None) -> Tensor | None:
    return None if shape is None else torch.randn(shape).double().requires_grad_()


def pushed(call: Function, tensors: list[Any], along: dict[int, Tensor], kept: Kept) -> Any:
    """The call's result with tensors that have a tangent along the way."""
    with Carry(kept):
        return call(*(Dual(t, along[i]) if i in along else t for i, t in enumerate(tensors)))


def by_torch(call: Function, tensors: list[Any], along: dict[int, Tensor]) -> Tensor:
    """The tangent, by two passes of torch's reverse mode, which share no formula with ours."""

    def of_moving(*moving: Tensor) -> Any:
        given = {**dict(enumerate(tensors)), **dict(zip(along, moving, strict=True))}
        if call in NORM_CALLS and given[1] is None:
            # torch itself loses the bias's second derivatives where there is no weight.
            given[1] = torch.ones(3).double()
        return call(*given.values())

    moving = tuple(tensors[i].detach() for i in along)
    return torch.autograd.functional.jvp(of_moving, moving, tuple(along.values()))[1]


def kept_of(call: Function, tensors: list[Any], budget: float) -> Kept:
    kept = Kept(budget)
    if budget:
        with Keeping(kept):
            call(*tensors)
        kept.trim()
    return kept


def subsets(call: Call) -> Iterator[dict[int, Tensor]]:
    """Directions for every choice of the tensors that are moved."""
    present = [i for i, shape in enumerate(call.shapes) if shape is not None]
    for chosen_bits in range(1, 2 ** len(present)):
        moving = [i for k, i in enumerate(present) if chosen_bits >> k & 1]
        yield {i: torch.randn(call.shapes[i]).double() for i in moving}


budgets = pytest.mark.parametrize("budget", [0.0, float("inf")], ids=["afresh", "kept"])


@budgets
@pytest.mark.parametrize("call", LAYER_CALLS + NORM_CALLS + OTHER_CALLS, ids=str)
def test_value_tangent_and_gradients_are_those_of_torch(call: Call, budget: float):
    tensors = [drawn(shape) for shape in call.shapes]
    leaves = [t for t in tensors if t is not None]
    expected = call(*tensors)
    slope = torch.randn_like(expected)
    gradients = torch.autograd.grad(expected, leaves, slope)
    for along in subsets(call):
        found = pushed(call, tensors, along, kept_of(call, tensors, budget))
        assert isinstance(found, Dual)
        torch.testing.assert_close(found.primal, expected, rtol=1e-12, atol=1e-12)
        tangent = by_torch(call, tensors, along)
        torch.testing.assert_close(found.tangent, tangent, rtol=1e-9, atol=1e-11)
        assert not found.tangent.requires_grad
        again = torch.autograd.grad(found.primal, leaves, slope)
        torch.testing.assert_close(again, gradients, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    "call", [c for c in LAYER_CALLS if c.func is not F.linear and len(c.shapes[0]) == 4], ids=str
)
def test_channels_last_is_as_good(call: Call):
    tensors = [drawn(shape) for shape in call.shapes]
    for i in (0, 1):
        tensors[i] = tensors[i].detach().contiguous(memory_format=torch.channels_last)
    for along in subsets(call):
        for budget in (0.0, float("inf")):
            found = pushed(call, tensors, along, kept_of(call, tensors, budget))
            tangent = by_torch(call, tensors, along)
            torch.testing.assert_close(found.tangent, tangent, rtol=1e-9, atol=1e-11)


@budgets
def test_running_statistics_are_moved_once(budget: float):
    x, w, b = (drawn(shape) for shape in ((4, 3, 2, 2), (3,), (3,)))
    memory = [torch.zeros(3).double(), torch.ones(3).double()]
    expected = [t.clone() for t in memory]
    F.batch_norm(x, *expected, w, b, training=True, momentum=0.3)
    kept = kept_of(batch_norm_without_memory, [x, w, b], budget)
    call = Call(F.batch_norm, (), {"training": True, "momentum": 0.3})
    pushed(call, [x, *memory, w, b], {3: torch.ones(3).double()}, kept)
    torch.testing.assert_close(memory, expected, rtol=1e-12, atol=1e-12)


def test_a_function_of_nothing_that_moves_is_called_as_it_is():
    x = torch.randn(3).double()
    found = pushed(lambda t, _: t.sin(), [x, x.clone()], {1: x}, Kept(0))
    assert type(found) is Tensor
    assert torch.equal(found, x.sin())


# What is not carried


def writes_into_what_is_still(x: Tensor) -> Tensor:
    still = torch.zeros(4, 4).double()
    still[0] = x[0]
    return still + x


def changes_its_shape(x: Tensor) -> Tensor:
    return (x * 1)[:2].t_()


def unsqueezes_in_place(x: Tensor) -> Tensor:
    return (x * 1).unsqueeze_(0)


def where_overrides_are_switched_off(x: Tensor) -> Tensor:
    with torch._C.DisableTorchFunction():
        return x.sin()


def where_the_mode_is_switched_off(x: Tensor) -> Tensor:
    with torch.overrides._pop_mode_temporarily():
        return x.sin()


def a_function_of_ones_own(x: Tensor) -> Tensor:
    return SquareOnce.apply(x).sin()


@pytest.mark.parametrize(
    "function",
    [
        writes_into_what_is_still,
        changes_its_shape,
        unsqueezes_in_place,
        where_overrides_are_switched_off,
        where_the_mode_is_switched_off,
        a_function_of_ones_own,
    ],
)
def test_what_cannot_be_carried_is_refused(function: Function):
    x = drawn((4, 4))
    with pytest.raises(NotCarriedError):
        pushed(function, [x], {0: torch.randn(4, 4).double()}, Kept(0))


def bagged(x: Tensor) -> Tensor:
    return F.embedding_bag(torch.tensor([[0, 1], [2, 2]]), x)


def hooked(x: Tensor) -> Tensor:
    out = x * 2
    out.register_hook(lambda slope: 2 * slope)
    return out


@pytest.mark.parametrize("function", [bagged, hooked])
def test_what_has_no_rule_is_named(function: Function):
    x = drawn((4, 4))
    with pytest.raises(NoForwardRuleError, match=r"embedding_bag|register_hook"):
        pushed(function, [x], {0: torch.randn(4, 4).double()}, Kept(0))


@pytest.mark.parametrize("function", [a_function_of_ones_own, bagged, torch.sin])
def test_nothing_stays_switched_on(function: Function):
    x = drawn((4, 4))
    try:
        found = pushed(function, [x], {0: x.detach()}, Kept(0))
    except (NotCarriedError, NoForwardRuleError):
        found = Dual(x, x.detach())
    assert type(found.sin()) is Tensor  # a tangent is no longer carried
    assert torch.equal(found.sin(), found.primal.sin())
    assert torch.autograd.forward_ad._current_level == -1


# Memory


@pytest.fixture
def tangents(monkeypatch: pytest.MonkeyPatch) -> list[weakref.ref[Any]]:
    """The places in memory of all tangents from now on, while they last."""
    places: list[weakref.ref[Any]] = []
    set_attribute = Dual.__setattr__

    def noting(dual: Dual, name: str, value: Any) -> None:
        if name == "tangent":
            places.append(weakref.ref(value.untyped_storage()))
        set_attribute(dual, name, value)

    monkeypatch.setattr(metaloss.bilevel.dual.Dual, "__setattr__", noting)
    return places


def alive(places: list[weakref.ref[Any]]) -> int:
    return len({id(place()) for place in places if place() is not None})


def test_a_tangent_that_is_held_is_seen(tangents: list[weakref.ref[Any]]):
    """Else what follows would say nothing."""
    tangent = torch.randn(3)
    held = Dual(torch.randn(3), tangent).tangent.detach()
    del tangent
    assert alive(tangents) == 1
    other = held[:2]
    del held
    assert alive(tangents) == 1
    product = other.clone().requires_grad_() * other  # whose graph needs it
    del other
    assert alive(tangents) == 1
    del product
    assert alive(tangents) == 0


@pytest.mark.parametrize("keep", [0.0, float("inf")])
@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("name", MODELS)
def test_no_tangent_outlives_the_pass(
    tangents: list[weakref.ref[Any]], name: str, steps: int, keep: float
):
    here = training(MODELS[name](), steps=steps)
    found = solve(here, Lookahead(steps, keep=keep))
    assert len(tangents) > 5
    assert found.shared.outputs.requires_grad
    if isinstance(here.model, Recurrent):  # torch's holds on to the last weights it was called with
        here.model(here.train_batches[0][0])
    assert alive(tangents) == 0


def test_a_tangent_lasts_no_longer_than_its_activation(tangents: list[weakref.ref[Any]]):
    most = 0

    class Counting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            nonlocal most
            most = max(most, alive(tangents))
            return x

    layers = [
        nn.Sequential(nn.Linear(8, 8), Counting(), nn.ReLU(), nn.LayerNorm(8)) for _ in range(9)
    ]
    here = training(mlp(nn.Tanh, *layers))
    solve(here, Lookahead())
    assert len(tangents) > 40
    assert 1 <= most <= 4  # the direction's are in one place


class Remembering(nn.Module):
    """It holds on to an activation, of which it may have more to say."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.last = mlp(), nn.Linear(CLASSES, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        h = self.body(x)
        self.seen = h
        return self.last(h)


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("strategy", ["mixed", "difference", "unroll"])
def test_what_a_model_holds_on_to_is_its_value_afterwards(strategy: str, steps: int):
    here = training(Remembering(), steps=steps)
    solve(here, Lookahead(steps, strategy))
    if strategy == "mixed":
        assert isinstance(here.model.seen, Dual)
        expected = here.model.body(here.train_batches[0][0])
        torch.testing.assert_close(here.model.seen * 1, expected)
        (here.model.seen**2).sum().backward()
    seen = here.model.seen
    assert torch.equal(seen.detach(), seen * 1)
    assert seen.shape == (10, CLASSES)
    assert torch.cat([seen, seen]).mean().item() == pytest.approx(float(seen.detach().mean()))
    assert seen.detach().numpy().shape == (10, CLASSES)


@pytest.mark.parametrize("strategy", ["mixed", "difference", "unroll"])
def test_a_model_that_remembers_its_weights_can_be_copied_and_trained(strategy: str):
    """torch's recurrent layers hold on to the weights that they were last called with."""
    here = training(Recurrent())
    solve(here, Lookahead(strategy=strategy))
    inputs = here.train_batches[0][0]
    for model in (copy.deepcopy(here.model), pickle.loads(pickle.dumps(here.model)), here.model):
        torch.testing.assert_close(model(inputs), here.model(inputs))
        found = torch.autograd.grad(model(inputs).sum(), list(model.parameters()))
        assert all(g.any() for g in found)
