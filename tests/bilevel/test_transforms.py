"""The package's own transformations, compared with ``torch.optim`` step by step."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from metaloss.bilevel.optimizer.transforms import (
    RootMeanSquareState,
    adaptive_moments,
    heavy_ball,
    root_mean_square,
)
from tests.helpers import states

SHAPES = ((3, 2), (4,), ())
LR = 0.1
EXACTLY = {"rtol": 1e-12, "atol": 1e-12}


def gradients(step: int) -> tuple[Tensor, ...]:
    """Return gradients for a step; one element is always zero, another is zero at step 0."""
    generator = torch.Generator().manual_seed(step)
    drawn = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SHAPES]
    drawn[0][0, 0] = 0.0
    if step == 0:
        drawn[1][1] = 0.0
    return tuple(drawn)


def weights() -> list[Tensor]:
    return [torch.nn.Parameter(torch.ones(shape, dtype=torch.float64)) for shape in SHAPES]


def assert_follows(transforms, optimizer: torch.optim.Optimizer) -> None:
    """Check that chained transformations take the optimizer's own steps."""
    real = optimizer.param_groups[0]["params"]
    mine = [p.detach().clone() for p in real]
    memories = [transform.init(tuple(mine)) for transform in transforms]
    for step in range(6):
        updates = gradients(step)
        for p, g in zip(real, updates, strict=True):
            p.grad = g.clone()
        before = [u.clone() for u in updates]
        for k, transform in enumerate(transforms):
            updates, memories[k] = transform.update(updates, memories[k], params=tuple(mine))
        assert all(map(torch.equal, gradients(step), before))
        mine = [p - LR * u for p, u in zip(mine, updates, strict=True)]
        optimizer.step()
        for one, other in zip(mine, real, strict=True):
            torch.testing.assert_close(one, other.detach(), **EXACTLY)


@pytest.mark.parametrize(
    "settings",
    [
        {"momentum": 0.9},
        {"momentum": 0.5, "dampening": 0.3},
        {"momentum": 0.9, "dampening": 1.0},
        {"momentum": 0.9, "nesterov": True},
    ],
    ids=str,
)
def test_heavy_ball_is_that_of_sgd(settings: dict):
    assert_follows([heavy_ball(**settings)], torch.optim.SGD(weights(), lr=LR, **settings))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize(
    "settings",
    [{}, {"alpha": 0.5, "eps": 1e-3}, {"centered": True}, {"alpha": 0.9, "centered": True}],
    ids=str,
)
def test_root_mean_square_is_that_of_rmsprop(settings: dict, momentum: float):
    transforms = [root_mean_square(**settings)]
    if momentum:
        transforms.append(heavy_ball(momentum))
    assert_follows(transforms, torch.optim.RMSprop(weights(), lr=LR, momentum=momentum, **settings))


@pytest.mark.parametrize("settings", [{}, {"b1": 0.5, "b2": 0.6, "eps": 1e-3}], ids=str)
def test_adaptive_moments_are_those_of_adam(settings: dict):
    """This holds in float64 whatever torch's default dtype is; TorchOpt's is off by 1e-5."""
    betas = settings.get("b1", 0.9), settings.get("b2", 0.999)
    real = torch.optim.Adam(weights(), lr=LR, betas=betas, eps=settings.get("eps", 1e-8))
    assert_follows([adaptive_moments(**settings)], real)


@pytest.mark.parametrize(
    "transform", [heavy_ball(0.9, dampening=0.3), root_mean_square(), adaptive_moments()]
)
def test_is_a_function_of_its_state_alone(transform):
    """TorchOpt's own momentum also depends on whether it has been called."""
    state = transform.init(gradients(1))
    first, after = transform.update(gradients(1), state)
    second, _ = transform.update(gradients(2), after)
    again, after = transform.update(gradients(1), state)
    assert all(map(torch.equal, first, again))
    again, _ = transform.update(gradients(2), after)
    assert all(map(torch.equal, second, again))


@pytest.mark.parametrize("transform", [heavy_ball(0.9), root_mean_square(), adaptive_moments()])
def test_the_next_transformation_may_write_to_the_updates(transform):
    """TorchOpt's optimizers do so, because they request in-place updates."""
    state = transform.init(gradients(1))
    for step in range(3):
        expected, after = transform.update(gradients(step), state)
        updates, state = transform.update(gradients(step), state, inplace=True)
        assert all(map(torch.equal, updates, expected))
        for u in updates:
            u.fill_(1e6)
        assert states.same(tuple(state), tuple(after))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("centered", [True, False])
def test_root_mean_square_has_a_slope_where_the_gradient_is_zero(
    centered: bool, dtype: torch.dtype
):
    transform = root_mean_square(eps=1e-3, centered=centered)
    gradient = torch.zeros(3, dtype=dtype, requires_grad=True)
    (update,), _ = transform.update((gradient,), transform.init((gradient,)))
    (slope,) = torch.autograd.grad(update.sum(), gradient)
    torch.testing.assert_close(slope, torch.full((3,), 1e3, dtype=dtype))


def test_a_variance_that_rounding_makes_negative():
    mean = torch.rand(1000, generator=torch.Generator().manual_seed(1)).double() + 1
    for steps_back in (1, 2):  # one and two units in the last place below the square
        square = mean * mean * (1 - steps_back * torch.finfo(torch.float64).eps)
        kept = 0.99 * square + (1 - 0.99) * mean * mean
        assert (kept < mean * mean).any()
        transform = root_mean_square(centered=True)
        gradient = mean.clone().requires_grad_()
        (update,), _ = transform.update((gradient,), RootMeanSquareState((square,), (mean,)))
        assert torch.isfinite(update).all()
        (slope,) = torch.autograd.grad(update.sum(), gradient)
        assert torch.isfinite(slope).all()
