"""The contract of every conditioner; a new one is tested without an edit."""

from __future__ import annotations

import copy
import inspect

import pytest
import torch
from torch.autograd import gradcheck

from metaloss import conditioners
from metaloss.checks import InputError
from tests.conditioners.cases import (
    SAMPLES,
    Build,
    builders,
    conditioner_classes,
    drawn,
    ready,
    training_labels,
)
from tests.helpers import states
from tests.helpers.half_precision import half_by_default

HALF = [torch.bfloat16, torch.float16]
SAME = {"rtol": 1e-13, "atol": 1e-14}

everyone = pytest.mark.parametrize("build", builders().values(), ids=builders().keys())


def test_every_exported_conditioner_is_tested():
    tested = {type(build(5)) for build in builders().values()}
    assert tested == set(conditioner_classes())
    public = {n for n in conditioners.__all__ if inspect.isclass(getattr(conditioners, n))}
    elsewhere = {"Conditioner", "Residual"}  # test_residual.py
    assert {item.__name__ for item in tested} == public - elsewhere


# What it returns


@everyone
@pytest.mark.parametrize("batch", [0, 1, 17])
def test_gives_its_features_for_each_sample(build: Build, batch: int):
    conditioner = ready(build)
    features = conditioner(*drawn(batch=batch))
    assert isinstance(conditioner.num_features, int)
    assert features.shape == (batch, conditioner.num_features)
    assert torch.isfinite(features).all()


@everyone
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_full_precision(build: Build, dtype: torch.dtype):
    assert ready(build)(*drawn(dtype=dtype)).dtype == dtype


@everyone
@pytest.mark.parametrize("dtype", HALF)
def test_computes_half_precision_in_float32(build: Build, dtype: torch.dtype):
    conditioner = ready(build)
    outputs, targets, index = drawn(dtype=dtype)
    features = conditioner(outputs, targets, index)
    assert features.dtype == torch.float32
    assert torch.equal(features, conditioner(outputs.float(), targets, index))


@everyone
def test_autocast_changes_nothing(build: Build):
    conditioner, batch = ready(build), drawn(dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = conditioner(*batch)
    assert features.dtype == torch.float32
    assert torch.equal(features, conditioner(*batch))


@everyone
@pytest.mark.parametrize(
    ("num_classes", "dtype"), [(2, torch.float32), (1000, torch.float32), (10, torch.float16)]
)
def test_is_finite_for_any_logits_and_number_of_classes(
    build: Build, num_classes: int, dtype: torch.dtype
):
    conditioner = ready(build, num_classes)
    for scale in (0.0, 1.0, 1e4):
        outputs, targets, index = drawn(num_classes, batch=12, dtype=torch.float64)
        outputs = (scale * outputs.sign()).to(dtype).requires_grad_()
        features = conditioner(outputs, targets, index)
        assert features.shape == (12, conditioner.num_features)
        assert torch.isfinite(features).all()
        if features.requires_grad:
            (slope,) = torch.autograd.grad(features.sum(), outputs)
            assert torch.isfinite(slope).all()


# What it depends on


@everyone
def test_samples_stand_alone(build: Build):
    conditioner, batch = ready(build), drawn(batch=9)
    features = conditioner(*batch)
    for chosen in (torch.tensor([8, 2, 5, 0, 1, 7, 3, 6, 4]), torch.tensor([4]), slice(2, 5)):
        some = conditioner(*(part[chosen] for part in batch))
        torch.testing.assert_close(some, features[chosen], **SAME)
    outputs = batch.outputs.clone()
    outputs[3] = -7 * outputs[3] + torch.arange(outputs.shape[1])
    kept = torch.arange(9) != 3
    altered = conditioner(outputs, batch.targets, batch.index)
    torch.testing.assert_close(altered[kept], features[kept], **SAME)


@everyone
def test_reading_changes_nothing(build: Build):
    conditioner, batch = ready(build), drawn()
    state = states.of_module(conditioner)
    tensors = states.identities(conditioner)
    arguments = [part.clone() for part in batch]
    first = conditioner(*batch).clone()
    for seed in (1, 2, 3):
        conditioner(*drawn(seed=seed))
    assert torch.equal(conditioner(*batch), first)
    assert states.same(states.of_module(conditioner), state)
    assert states.identities(conditioner) == tensors
    assert states.same(list(batch), arguments)


@everyone
def test_tracking_is_reading_and_then_observing(build: Build):
    conditioner = ready(build)
    again = copy.deepcopy(conditioner)
    for seed in (1, 2, 3):
        outputs, targets, index = batch = drawn(seed=seed)
        before = states.identities(conditioner)
        tracked = conditioner.track(outputs.requires_grad_(), targets, index)
        assert torch.equal(tracked, again(*batch))
        again.observe(outputs.detach(), targets, index)
        assert states.same(states.of_module(conditioner), states.of_module(again))
        assert states.identities(conditioner) == before
        if tracked.requires_grad:  # what was remembered since is no part of the graph
            tracked.sum().backward()


@everyone
def test_reading_takes_no_part_in_randomness_or_modes(build: Build):
    conditioner, batch = ready(build), drawn()
    rng = torch.get_rng_state()
    features = conditioner(*batch)
    assert torch.equal(torch.get_rng_state(), rng)
    assert torch.equal(conditioner.eval()(*batch), features)


@everyone
def test_memory_layout_does_not_matter(build: Build):
    conditioner, (outputs, targets, index) = ready(build), drawn()
    scattered = conditioner(
        outputs.T.contiguous().T, targets.repeat_interleave(2)[::2], index.repeat(2)[: len(index)]
    )
    torch.testing.assert_close(scattered, conditioner(outputs, targets, index), **SAME)


@everyone
def test_says_whether_it_needs_the_index(build: Build):
    conditioner, (outputs, targets, index) = ready(build), drawn()
    if conditioner.needs_index:
        with pytest.raises(InputError, match=r"ids.*criterion\(outputs, targets, index\)"):
            conditioner(outputs, targets)
    else:
        features = conditioner(outputs, targets, index)
        assert torch.equal(conditioner(outputs, targets), features)
        conditioner.observe(outputs, targets)


# How it is differentiated, where the features are not held fixed


@everyone
def test_gradients_match_finite_differences(build: Build):
    conditioner, (outputs, targets, index) = ready(build), drawn(batch=4)
    assert gradcheck(
        lambda z: conditioner(z, targets, index), outputs.requires_grad_(), check_forward_ad=True
    )


@everyone
def test_goes_through_function_transforms(build: Build):
    conditioner, (outputs, targets, index) = ready(build), drawn()
    tangent = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(1)).double()

    def total(z: torch.Tensor, y: torch.Tensor, i: torch.Tensor) -> torch.Tensor:
        return conditioner(z[None], y[None], i[None]).sum()

    together = conditioner(outputs, targets, index)
    alone = torch.func.vmap(lambda z, y, i: conditioner(z[None], y[None], i[None])[0])
    torch.testing.assert_close(alone(outputs, targets, index), together, **SAME)

    slopes = torch.func.vmap(torch.func.grad(total))(outputs, targets, index)
    _, forward = torch.func.jvp(
        lambda z: conditioner(z, targets, index).sum(1), (outputs,), (tangent,)
    )
    torch.testing.assert_close(forward, (slopes * tangent).sum(1), rtol=1e-11, atol=1e-12)


# How it is kept


@everyone
def test_its_state_fits_a_fresh_one(build: Build):
    conditioner, batch = ready(build), drawn()
    for labels in (None, training_labels(5)[: SAMPLES // 2], training_labels(5).repeat(2)):
        fresh = build(5)
        if labels is not None:
            fresh.prepare(labels, 5)
        fresh.load_state_dict(copy.deepcopy(conditioner.state_dict()))
        assert torch.equal(fresh(*batch), conditioner(*batch))
        assert states.same(fresh.state_dict(), conditioner.state_dict())


@everyone
def test_a_copy_lives_its_own_life(build: Build):
    conditioner, batch = ready(build), drawn()
    features, state = conditioner(*batch), states.of_module(conditioner)
    again = copy.deepcopy(conditioner)
    assert torch.equal(again(*batch), features)
    again.observe(*drawn(seed=9))
    again.set_progress(0.9)
    again.prepare(training_labels(5).flip(0), 5)
    assert states.same(states.of_module(conditioner), state)
    assert torch.equal(conditioner(*batch), features)


@everyone
def test_double_precision_changes_no_feature(build: Build):
    batch = drawn()
    conditioner = ready(build)
    features = conditioner(*batch)
    torch.testing.assert_close(conditioner.double()(*batch), features, rtol=1e-6, atol=1e-7)


@everyone
def test_has_nothing_to_train(build: Build):
    assert list(ready(build).parameters()) == []


@pytest.mark.parametrize("item", conditioner_classes())
def test_is_documented(item: type):
    assert len(item.__doc__) > 40
    assert "Example:" in item.__doc__


@everyone
def test_what_it_remembers_is_not_kept_in_half_precision(build: Build):
    cast, plain = ready(build).to(torch.bfloat16), ready(build)
    outputs, targets, index = drawn(batch=17)
    for _ in range(300):  # bfloat16 cannot count beyond 256
        for conditioner in (cast, plain):
            conditioner.observe(outputs, targets, index)
    found, expected = cast(outputs, targets, index), plain(outputs, targets, index)
    assert torch.equal(found, expected)


@everyone
def test_remembers_in_float32_where_half_precision_is_the_default(build: Build):
    with half_by_default():
        made = ready(build)
    assert states.same(states.of_module(made), states.of_module(ready(build)))
