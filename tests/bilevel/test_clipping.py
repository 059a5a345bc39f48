"""Clipped steps are the same as torch's, and differentiated exactly."""

from __future__ import annotations

import copy
from dataclasses import asdict, replace

import pytest
import torch
from torch import nn

from metaloss import InputError
from metaloss.bilevel import Clip, ClipNorm, ClipValue, Lookahead
from metaloss.training import Recipe
from tests.bilevel.cases import EXACT, OPTIMIZERS, training
from tests.bilevel.models import MODELS
from tests.helpers.exhaustive import all_pairs
from tests.helpers.hypergradients import assert_is_the_hypergradient, inner

# Limits below and above the norms and values that occur in these trainings.
CLIPS: dict[str, Clip] = {
    "norm": ClipNorm(0.1),
    "norm, never": ClipNorm(1e3),
    "value": ClipValue(0.01),
    "value, never": ClipValue(1e3),
}
every_clip = pytest.mark.parametrize("clip", CLIPS.values(), ids=CLIPS.keys())


@every_clip
def test_as_torch_clips(clip: Clip) -> None:
    params = {"a": nn.Parameter(torch.randn(3, 2)), "b": nn.Parameter(torch.randn(4))}
    for p in params.values():
        p.grad = torch.randn_like(p)
    found = clip.clipped({name: p.grad.clone() for name, p in params.items()})
    clip.clip_(params.values())
    for name, p in params.items():
        torch.testing.assert_close(found[name], p.grad)


@all_pairs("name, steps, strategy, clip", ["MLP", "CNN-BatchNorm"], [1, 3], EXACT, CLIPS)
def test_against_real_training_that_clips(name: str, steps: int, strategy: str, clip: Clip) -> None:
    here = training(MODELS[name](), OPTIMIZERS["SGD-Nesterov"], steps=steps, steps_before=1)
    found = here.look_ahead(Lookahead(steps, strategy, clip=clip))
    clips = {f"clip_{key.removeprefix('max_')}": value for key, value in asdict(clip).items()}
    assert_is_the_hypergradient(found, replace(here, **clips))


@pytest.mark.parametrize("clip", [CLIPS["norm"], CLIPS["value"]], ids=["norm", "value"])
def test_clipping_makes_a_difference_here(clip: Clip) -> None:
    here = training(steps_before=1)
    free, clipped = here.look_ahead(Lookahead()), here.look_ahead(Lookahead(clip=clip))
    gap = {name: free[name] - clipped[name] for name in free}
    assert inner(gap, gap) > 1e-2 * inner(free, free)


def test_zero_gradients_are_unchanged() -> None:
    grads = {"w": torch.zeros(3, requires_grad=True)}
    found = ClipNorm(1.0).clipped(grads)["w"]
    (slope,) = torch.autograd.grad(found.sum(), grads["w"])
    assert torch.equal(found, torch.zeros(3))
    assert torch.equal(slope, torch.ones(3))


def test_complex_numbers_by_their_absolute_value() -> None:
    p = nn.Parameter(torch.randn(5, dtype=torch.complex128))
    p.grad = torch.randn_like(p)
    expected = copy.deepcopy(p.grad)
    found = ClipNorm(0.5).clipped({"w": expected})["w"]
    ClipNorm(0.5).clip_([p])
    torch.testing.assert_close(found, p.grad)


@pytest.mark.bad_input
@pytest.mark.parametrize("kind", [ClipNorm, ClipValue])
@pytest.mark.parametrize("given", [0, -1.0, float("nan"), "1", None, True])
def test_limits_out_of_range(kind: type[Clip], given: object) -> None:
    with pytest.raises(InputError, match=r"max_(norm|value): expected a number"):
        kind(given)


@pytest.mark.bad_input
def test_clip_of_another_type() -> None:
    with pytest.raises(InputError, match=r"clip: expected a Clip or None, got 1.0"):
        Lookahead(clip=1.0)
    with pytest.raises(InputError, match=r"clip: expected a Clip or None, got 1.0"):
        Recipe(epochs=1, clip=1.0)
    with pytest.raises(InputError, match=r"set Recipe.clip alone"):
        Recipe(epochs=1, lookahead=Lookahead(clip=ClipNorm(1.0)))
    assert Recipe(epochs=1, clip=ClipNorm(1.0)).clipped_lookahead.clip == ClipNorm(1.0)
