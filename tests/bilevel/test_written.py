"""The hypergradient is right for models written in many ways."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from metaloss.bilevel import Lookahead, Lookback
from metaloss.checks import InputError
from tests.bilevel.cases import OPTIMIZERS, training
from tests.bilevel.models import CLASSES
from tests.bilevel.test_lookback import made
from tests.helpers.hypergradients import Training, assert_near


class Written(nn.Module):
    """A network of two layers with any code between them."""

    def __init__(self, between: Callable[[Written, Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.middle, self.last = (
            nn.Linear(36, 8),
            nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8)),
            nn.Linear(8, CLASSES),
        )
        self.between = between
        self.register_buffer("centre", torch.zeros(8))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x.flatten(1)).sin()
        return self.last(torch.tanh(self.between(self, hidden)))


def add_to_a_view(model: Written, h: Tensor) -> Tensor:
    h[:, :4].add_(h[:, 4:].clone().cos())
    return h


def add_beneath_a_view(model: Written, h: Tensor) -> Tensor:
    flat = h.view(-1)
    h += h.clone().cos()
    return flat.view(h.shape)


def rectify_a_view(model: Written, h: Tensor) -> Tensor:
    torch.relu_(h[:, :4])
    return h


def rectify_beneath_a_view(model: Written, h: Tensor) -> Tensor:
    flat = h.view(-1)
    F.relu(h, inplace=True)
    return flat.view(h.shape)


def multiply_a_view(model: Written, h: Tensor) -> Tensor:
    h[:, :4].mul_(h[:, 4:].clone().cos())
    return h


def multiply_beneath_a_view(model: Written, h: Tensor) -> Tensor:
    flat = h.view(-1)
    h *= h.clone().cos()
    return flat.view(h.shape)


def transpose_a_square_in_place(model: Written, h: Tensor) -> Tensor:
    square = h[:8].cos()
    square.t_()
    return torch.cat([square, h[8:]])


def unsqueeze_in_place(model: Written, h: Tensor) -> Tensor:
    return h.unsqueeze_(1).squeeze(1)


def write_into_slices(model: Written, h: Tensor) -> Tensor:
    h[:, 2] = h[:, 3] * 2
    h[h > 0.5] = 0.1
    h[:, :3] += h[:, 3:6]
    return h


def write_into_a_new_tensor(model: Written, h: Tensor) -> Tensor:
    new = h.new_zeros(h.shape)
    new[:, 0] = h[:, 0]
    return new + h


def copy_into_a_new_tensor(model: Written, h: Tensor) -> Tensor:
    return torch.empty_like(h).copy_(h)


def fill_where(model: Written, h: Tensor) -> Tensor:
    return h.masked_fill_(h > 0.3, 0.0).clamp_(min=-0.2)


def named_results(model: Written, h: Tensor) -> Tensor:
    return h.sort(dim=1).values + h.max(dim=1, keepdim=True).values


def one_by_one(model: Written, h: Tensor) -> Tensor:
    return torch.stack([torch.cat(row.split([3, 5])[::-1]) for row in h])


def half_detached(model: Written, h: Tensor) -> Tensor:
    return h.lerp(h.detach(), 0.5)


def scaled_without_gradient(model: Written, h: Tensor) -> Tensor:
    with torch.no_grad():
        scale = h.abs().amax(0)
    return h / scale


def centred_without_gradient(model: Written, h: Tensor) -> Tensor:
    with torch.no_grad():
        model.centre.mul_(0.5).add_(h.mean(0))
    return h - model.centre


def hooked(model: Written, h: Tensor) -> Tensor:
    middle = model.middle(h)
    if middle.requires_grad:
        middle.register_hook(lambda slope: 2 * slope)
    return middle


def checkpointed(model: Written, h: Tensor) -> Tensor:
    return checkpoint(model.middle, h, use_reentrant=False)


WRITTEN = [
    add_to_a_view,
    add_beneath_a_view,
    rectify_a_view,
    rectify_beneath_a_view,
    multiply_a_view,
    multiply_beneath_a_view,
    transpose_a_square_in_place,
    unsqueeze_in_place,
    write_into_slices,
    write_into_a_new_tensor,
    copy_into_a_new_tensor,
    fill_where,
    named_results,
    one_by_one,
    half_detached,
    scaled_without_gradient,
    centred_without_gradient,
]


def here(between: Callable[[Written, Tensor], Tensor], steps: int) -> Training:
    torch.manual_seed(6)
    return training(Written(between), OPTIMIZERS["SGD-Nesterov"], steps=steps, steps_before=1)


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("between", WRITTEN)
def test_mixed_agrees_with_unroll_however_the_model_is_written(between, steps: int):
    start = here(between, steps)
    expected = start.look_ahead(Lookahead(steps, "unroll"))
    assert_near(start.look_ahead(Lookahead(steps)), expected, 1e-9)
    if steps == 1:
        assert_near(made(start, Lookback(keep=1.0)), expected, 1e-9)


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("strategy", ["unroll", "mixed", "difference"])
def test_activation_checkpointing_is_refused(strategy: str, steps: int):
    """It would be recomputed with the live weights instead of the step's."""
    with pytest.raises(InputError, match="without activation checkpointing"):
        here(checkpointed, steps).look_ahead(Lookahead(steps, strategy))


def test_a_hook_that_changes_gradients_is_refused():
    start = here(hooked, 1)
    start.look_ahead(Lookahead(strategy="unroll"))  # unrolling goes through the hook
    with pytest.raises(InputError, match="the gradient of these outputs"):
        start.look_ahead(Lookahead())


def always_hooked(model: Written, h: Tensor) -> Tensor:
    middle = model.middle(h)
    middle.register_hook(lambda slope: 2 * slope)
    return middle


@pytest.mark.filterwarnings("ignore:falling back:RuntimeWarning")
def test_a_hook_that_forward_mode_sees():
    start = here(always_hooked, 1)
    expected = start.look_ahead(Lookahead(strategy="unroll"))
    assert_near(start.look_ahead(Lookahead(strategy="auto")), expected, 1e-9)
