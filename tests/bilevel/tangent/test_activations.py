"""Which activations are kept, and when they are taken."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from metaloss.bilevel.tangent import Activations

SHAPES = {"small": (4, 2), "wide": (16, 4), "last": (3, 16)}


def weights() -> dict[str, Tensor]:
    return {name: torch.randn(shape, requires_grad=True) for name, shape in SHAPES.items()}


def left_by(params: dict[str, Tensor], budget: float, write: bool = False) -> Activations:
    """Return the activations kept from a pass through three layers."""
    copies = {name: p.detach().clone() for name, p in params.items()}
    activations = Activations(params, copies, budget)
    with activations.recorded():
        hidden = torch.randn(5, 2)
        for weight in params.values():
            hidden = F.linear(hidden, weight)
            if write:
                hidden.detach().add_(1.0)
    activations.trim()
    activations.copies = copies  # type: ignore[attr-defined]
    return activations


def taken(activations: Activations) -> list[str]:
    copies: dict[str, Tensor] = activations.copies  # type: ignore[attr-defined]
    found = {name: activations.take(F.linear, weight) for name, weight in copies.items()}
    return [name for name, output in found.items() if output is not None]


@pytest.mark.parametrize(
    ("budget", "names"),
    [(0, []), (60, ["last"]), (140, ["small", "last"]), (1e9, ["small", "wide", "last"])],
)
def test_the_outputs_of_most_work_a_byte_that_fit(budget: float, names: list[str]) -> None:
    """The outputs take 80, 320 and 60 bytes, and 2, 4 and 16 multiplications per element."""
    activations = left_by(weights(), budget)
    assert taken(activations) == names
    assert activations.matched


def test_outputs_that_are_written_to_are_dropped() -> None:
    activations = left_by(weights(), 1e9, write=True)
    assert taken(activations) == []
    assert activations.matched


def test_another_order_of_calls_does_not_match() -> None:
    activations = left_by(weights(), 1e9)
    copies = activations.copies  # type: ignore[attr-defined]
    assert activations.take(F.linear, copies["wide"]) is None
    assert activations.take(F.linear, copies["small"]) is None
    assert not activations.matched


def test_more_or_fewer_calls_do_not_match() -> None:
    activations = left_by(weights(), 1e9)
    assert not activations.matched  # nothing has been taken yet
    taken(activations)
    assert activations.matched
    assert taken(activations) == []
    assert not activations.matched


def test_weights_computed_from_parameters_are_left_out() -> None:
    params = weights()
    activations = Activations(params, params, 1e9)
    with activations.recorded():
        F.linear(torch.randn(5, 2), 2 * params["small"])
    activations.trim()
    assert activations.take(F.linear, 2 * params["small"]) is None
    assert activations.matched


def test_passes_without_gradients_are_left_out() -> None:
    params = weights()
    activations = Activations(params, params, 1e9)
    with activations.recorded(), torch.no_grad():
        F.linear(torch.randn(5, 2), params["small"])
    assert activations.matched
