"""The functional step, compared with the optimizer's own step."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from metaloss.bilevel.optimizer.functional import functional
from tests.helpers import states

S = torch.optim
EXACTLY = {"rtol": 1e-12, "atol": 1e-12}

SETTINGS: dict[str, Callable[[list], torch.optim.Optimizer]] = {
    "SGD": lambda p: S.SGD(p, lr=0.1),
    "SGD lr tensor": lambda p: S.SGD(p, lr=torch.tensor(0.1, dtype=torch.float64)),
    "SGD lr 0": lambda p: S.SGD(p, lr=0.0, momentum=0.9),
    "SGD momentum": lambda p: S.SGD(p, lr=0.1, momentum=0.9),
    "SGD dampening": lambda p: S.SGD(p, lr=0.1, momentum=0.9, dampening=0.3),
    "SGD dampening 1": lambda p: S.SGD(p, lr=0.1, momentum=0.9, dampening=1.0),
    "SGD dampening alone": lambda p: S.SGD(p, lr=0.1, dampening=0.3),
    "SGD Nesterov": lambda p: S.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "SGD decay": lambda p: S.SGD(p, lr=0.1, weight_decay=0.2),
    "SGD maximize": lambda p: S.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.2, maximize=True),
    "SGD all": lambda p: S.SGD(
        p, lr=0.1, momentum=0.9, weight_decay=0.2, nesterov=True, maximize=True
    ),
    "SGD foreach": lambda p: S.SGD(p, lr=0.1, momentum=0.9, dampening=0.3, foreach=True),
    "SGD fused": lambda p: S.SGD(p, lr=0.1, momentum=0.9, dampening=0.3, fused=True),
    "Adam": lambda p: S.Adam(p, lr=0.1),
    "Adam lr tensor": lambda p: S.Adam(p, lr=torch.tensor(0.1, dtype=torch.float64)),
    "Adam betas": lambda p: S.Adam(p, lr=0.1, betas=(0.5, 0.6), eps=1e-3),
    "Adam betas 0": lambda p: S.Adam(p, lr=0.1, betas=(0.0, 0.0), eps=1e-3),
    "Adam decay": lambda p: S.Adam(p, lr=0.1, weight_decay=0.2),
    "Adam maximize": lambda p: S.Adam(p, lr=0.1, weight_decay=0.2, maximize=True),
    "Adam foreach": lambda p: S.Adam(p, lr=0.1, weight_decay=0.2, foreach=True),
    "Adam fused": lambda p: S.Adam(p, lr=0.1, weight_decay=0.2, fused=True),
    "AdamW": lambda p: S.AdamW(p, lr=0.1),
    "AdamW decay 0": lambda p: S.AdamW(p, lr=0.1, weight_decay=0.0),
    "AdamW maximize": lambda p: S.AdamW(p, lr=0.1, weight_decay=0.2, maximize=True),
    "RMSprop": lambda p: S.RMSprop(p, lr=0.1),
    "RMSprop decay": lambda p: S.RMSprop(p, lr=0.1, alpha=0.5, eps=1e-3, weight_decay=0.2),
    "RMSprop momentum": lambda p: S.RMSprop(p, lr=0.1, momentum=0.9),
    "RMSprop centered": lambda p: S.RMSprop(p, lr=0.1, centered=True),
    "RMSprop all": lambda p: S.RMSprop(
        p, lr=0.1, momentum=0.9, centered=True, weight_decay=0.2, maximize=True
    ),
    "RMSprop foreach": lambda p: S.RMSprop(p, lr=0.1, momentum=0.9, foreach=True),
    "SGD groups": lambda p: S.SGD(
        [
            {"params": p[2:], "lr": 0.3, "momentum": 0.0, "weight_decay": 0.5},
            {"params": p[:1], "nesterov": True},
            {"params": p[1:2], "dampening": 0.5, "maximize": True},
        ],
        lr=0.1,
        momentum=0.9,
    ),
    "Adam groups": lambda p: S.Adam(
        [{"params": p[1:], "lr": 0.3, "betas": (0.5, 0.5)}, {"params": p[:1], "eps": 1e-2}],
        weight_decay=0.1,
    ),
}
every_setting = pytest.mark.parametrize("make", SETTINGS.values(), ids=SETTINGS.keys())


def weights() -> dict[str, nn.Parameter]:
    generator = torch.Generator().manual_seed(3)
    return {
        name: nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64))
        for name, shape in {"a": (3, 2), "b": (4,), "c": (2, 2)}.items()
    }


def gradients(step: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(100 + step)
    return {
        name: torch.randn(p.shape, generator=generator, dtype=torch.float64)
        for name, p in weights().items()
    }


def really(optimizer: torch.optim.Optimizer, params: dict, grads: dict[str, Tensor]) -> dict:
    """Take the real step with the given gradients; skip a parameter without a gradient."""
    for name, p in params.items():
        p.grad = grads[name].clone() if name in grads else None
    optimizer.step()
    return {name: p.detach().clone() for name, p in params.items()}


def detached(params: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in params.items()}


@pytest.mark.parametrize("joined", [True, False])
@every_setting
def test_each_step_is_the_real_one(make, joined: bool, monkeypatch: pytest.MonkeyPatch):
    """This holds from the live state of every step, and when the function continues by itself.

    Small tensors are joined to one, and large ones stepped one by one.
    """
    if not joined:
        monkeypatch.setattr("metaloss.bilevel.optimizer.functional._SMALL", 0)
    params = weights()
    optimizer = make(list(params.values()))
    carried = functional(optimizer, params)
    mine, state = detached(params), carried.state
    for step in range(6):
        taken_over = functional(optimizer, params)
        ahead, _ = taken_over.step(detached(params), taken_over.state, gradients(step))
        mine, state = carried.step(mine, state, gradients(step))
        real = really(optimizer, params, gradients(step))
        for name, expected in real.items():
            torch.testing.assert_close(ahead[name], expected, **EXACTLY)
            torch.testing.assert_close(mine[name], expected, **EXACTLY)


@pytest.mark.parametrize(
    "make",
    # torch's own fused SGD fails where a parameter has no momentum yet.
    [make for name, make in SETTINGS.items() if name != "SGD fused"],
    ids=[name for name in SETTINGS if name != "SGD fused"],
)
def test_a_parameter_that_was_skipped_is_stepped_as_the_real_one_is(make):
    """Without a gradient it keeps its weights and its state, or has no state at all."""
    params = weights()
    optimizer = make(list(params.values()))
    for step, reached in enumerate(["ab", "abc", "c", "ac", "abc", "b", "abc"]):
        grads = {name: g for name, g in gradients(step).items() if name in reached}
        found = functional(optimizer, {name: params[name] for name in reached})
        ahead, _ = found.step(detached(params), found.state, grads)
        real = really(optimizer, params, grads)
        for name, expected in real.items():
            torch.testing.assert_close(ahead[name], expected, **EXACTLY)


@every_setting
def test_single_precision_too(make):
    params = {name: nn.Parameter(p.detach().float()) for name, p in weights().items()}
    optimizer = make(list(params.values()))
    for step in range(4):
        grads = {name: g.float() for name, g in gradients(step).items()}
        found = functional(optimizer, params)
        ahead, _ = found.step(detached(params), found.state, grads)
        real = really(optimizer, params, grads)
        for name, expected in real.items():
            assert ahead[name].dtype == torch.float32
            torch.testing.assert_close(ahead[name], expected, rtol=2e-6, atol=2e-6)


@every_setting
def test_a_step_changes_none_of_its_arguments(make):
    params = weights()
    optimizer = make(list(params.values()))
    really(optimizer, params, gradients(0))
    before = copy.deepcopy(optimizer.state_dict())
    found = functional(optimizer, params)
    arguments = detached(params), found.state, gradients(1)
    kept = copy.deepcopy(arguments)
    first = found.step(*arguments)
    assert states.same(arguments, kept)
    assert states.same(found.step(*arguments), first)
    assert states.same(optimizer.state_dict(), before)
    # A later real step does not change the results either.
    after = copy.deepcopy(first)
    really(optimizer, params, gradients(2))
    assert states.same(first, after)


@pytest.mark.parametrize(
    "name",
    [
        "SGD all",
        "SGD dampening",
        "Adam betas",
        "Adam groups",
        "AdamW maximize",
        "RMSprop decay",
        "RMSprop all",
    ],
)
@pytest.mark.parametrize("fresh", [True, False])
def test_a_step_is_differentiable_in_weights_and_gradients(name: str, fresh: bool):
    params = weights()
    optimizer = SETTINGS[name](list(params.values()))
    if not fresh:
        really(optimizer, params, gradients(0))
        really(optimizer, params, gradients(1))
    found = functional(optimizer, params)
    names = list(params)

    def two_steps(*tensors: Tensor) -> tuple[Tensor, ...]:
        current = dict(zip(names, tensors[:3], strict=True))
        grads = dict(zip(names, tensors[3:], strict=True))
        current, state = found.step(current, found.state, grads)
        current, _ = found.step(current, state, {n: 0.5 * g + 0.1 for n, g in grads.items()})
        return tuple(current.values())

    point = [t.requires_grad_() for t in (*detached(params).values(), *gradients(7).values())]
    assert torch.autograd.gradcheck(two_steps, point, eps=1e-7, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSprop"])
def test_the_slope_of_a_first_step_with_the_usual_eps(name: str):
    """The step is ``g / (k |g| + eps)``; its slope is ``eps / (k |g| + eps)^2``, 1/eps at 0."""
    params = {"w": nn.Parameter(torch.zeros(5, dtype=torch.float64))}
    eps, lr = 1e-8, 0.1
    optimizer = getattr(torch.optim, name)(params.values(), lr=lr, eps=eps)
    k = 0.1 if name == "RMSprop" else 1.0
    found = functional(optimizer, params)
    gradient = torch.tensor([0.0, 1e-9, -1e-7, 1e-4, -0.5], dtype=torch.float64)
    gradient.requires_grad_()
    ahead, _ = found.step(detached(params), found.state, {"w": gradient})
    (slope,) = torch.autograd.grad(ahead["w"].sum(), gradient)
    g = gradient.detach().abs()
    torch.testing.assert_close(slope, -lr * eps / (k * g + eps) ** 2, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("steps_before", [0, 3])
@pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSprop", "RMSprop momentum", "RMSprop all"])
def test_a_gradient_that_was_always_zero_gives_no_nan(
    name: str, steps_before: int, dtype: torch.dtype
):
    params = {n: nn.Parameter(p.detach().to(dtype)) for n, p in weights().items()}
    optimizer = SETTINGS[name](list(params.values()))
    nothing = {n: torch.zeros_like(p) for n, p in detached(params).items()}
    for _ in range(steps_before):
        really(optimizer, params, nothing)
    found = functional(optimizer, params)
    grads = {n: g.clone().requires_grad_() for n, g in nothing.items()}
    ahead, state = found.step(detached(params), found.state, grads)
    ahead, _ = found.step(ahead, state, grads)
    total = sum(p.sum() for p in ahead.values())
    for slope in torch.autograd.grad(total, list(grads.values())):
        assert torch.isfinite(slope).all()
        assert (slope != 0).all()
