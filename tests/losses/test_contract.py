"""The contract of every loss family; a new one is tested without an edit."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle

import pytest
import torch
from torch import nn

import metaloss.losses
from metaloss.losses import Hyperparameter, LossFamily
from tests.losses.cases import families, family_classes, moderate

pytestmark = pytest.mark.parametrize("family", families(), ids=str)

HALF = [torch.bfloat16, torch.float16]
SAME = {"rtol": 1e-13, "atol": 1e-14}


# What it returns


@pytest.mark.parametrize("batch", [1, 2, 17])
def test_gives_one_loss_a_sample(family: LossFamily, batch: int):
    values = family(*moderate(family, batch=batch))
    assert values.shape == (batch,)
    assert torch.isfinite(values).all()
    assert batch == 1 or values.unique().numel() > 1


def test_an_empty_batch_has_no_losses(family: LossFamily):
    outputs, targets, hparams = moderate(family)
    assert family(outputs[:0], targets[:0], hparams[:0]).shape == (0,)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_full_precision(family: LossFamily, dtype: torch.dtype):
    outputs, targets, hparams = moderate(family)
    outputs, hparams = outputs.to(dtype).requires_grad_(), hparams.to(dtype)
    values = family(outputs, targets, hparams)
    assert values.dtype == dtype
    values.sum().backward()
    assert outputs.grad.dtype == dtype


@pytest.mark.parametrize("dtype", HALF)
def test_computes_half_precision_in_float32(family: LossFamily, dtype: torch.dtype):
    outputs, targets, hparams = moderate(family)
    outputs, hparams = outputs.to(dtype).requires_grad_(), hparams.to(dtype).requires_grad_()
    values = family(outputs, targets, hparams)
    assert values.dtype == torch.float32
    expected = family(outputs.detach().float(), targets, hparams.float())
    assert torch.equal(values, expected)
    by_outputs, by_hparams = torch.autograd.grad(
        values.sum(), (outputs, hparams), allow_unused=True, materialize_grads=True
    )
    assert by_outputs.dtype == by_hparams.dtype == dtype
    assert torch.isfinite(by_outputs).all() and torch.isfinite(by_hparams).all()


@pytest.mark.parametrize("dtype", HALF)
def test_half_precision_logits_with_float32_hyperparameters(family: LossFamily, dtype: torch.dtype):
    """As under autocast, where logits are in half precision and hyperparameters are not."""
    outputs, targets, hparams = moderate(family)
    values = family(outputs.to(dtype), targets, hparams.float())
    assert values.dtype == torch.float32
    assert torch.equal(values, family(outputs.to(dtype).float(), targets, hparams.float()))


def test_autocast_changes_nothing(family: LossFamily):
    outputs, targets, hparams = moderate(family)
    outputs, hparams = outputs.float(), hparams.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        values = family(outputs, targets, hparams)
    assert values.dtype == torch.float32
    assert torch.equal(values, family(outputs, targets, hparams))


# What it depends on


def test_is_a_function_of_its_arguments(family: LossFamily):
    arguments = moderate(family)
    before = [argument.clone() for argument in arguments]
    first = family(*arguments)
    assert torch.equal(first, family(*arguments))
    assert all(torch.equal(a, b) for a, b in zip(arguments, before, strict=True))


def test_samples_stand_alone(family: LossFamily):
    outputs, targets, hparams = moderate(family, batch=9)
    values = family(outputs, targets, hparams)
    for chosen in (torch.tensor([8, 2, 5, 0, 1, 7, 3, 6, 4]), torch.tensor([4]), slice(2, 5)):
        some = family(outputs[chosen], targets[chosen], hparams[chosen])
        torch.testing.assert_close(some, values[chosen], **SAME)
    changed = outputs.clone()
    changed[3] = -7 * outputs[3] + torch.arange(outputs.shape[1])
    altered = family(changed, targets, hparams)
    kept = torch.arange(9) != 3
    torch.testing.assert_close(altered[kept], values[kept], **SAME)
    assert (altered[3] - values[3]).abs() > 1e-6


def test_only_differences_of_logits_matter(family: LossFamily):
    outputs, targets, hparams = moderate(family)
    shifts = torch.tensor([-300.0, -5.0, 0.0, 1.0, 40.0, 500.0])[:, None]
    values = family(outputs, targets, hparams)
    shifted = family(outputs + shifts, targets, hparams)
    torch.testing.assert_close(shifted, values, rtol=1e-11, atol=1e-12)
    z = outputs.requires_grad_()
    (slope,) = torch.autograd.grad(family(z, targets, hparams).sum(), z)
    torch.testing.assert_close(slope.sum(1), torch.zeros(len(targets)).double())


def test_names_of_classes_do_not_matter(family: LossFamily):
    outputs, targets, hparams = moderate(family, num_classes=5)
    order = torch.tensor([3, 0, 4, 1, 2])
    renamed = torch.argsort(order)[targets]
    torch.testing.assert_close(
        family(outputs[:, order], renamed, hparams), family(outputs, targets, hparams), **SAME
    )


def test_memory_layout_does_not_matter(family: LossFamily):
    outputs, targets, hparams = moderate(family)
    values = family(outputs, targets, hparams)
    scattered = family(
        outputs.T.contiguous().T, targets.repeat_interleave(2)[::2], hparams.T.contiguous().T
    )
    torch.testing.assert_close(scattered, values, **SAME)


def test_a_constant_row_serves_every_sample(family: LossFamily):
    outputs, targets, _ = moderate(family)
    batch = len(targets)
    shared = family.constant(batch, like=outputs)
    assert shared.shape == (batch, len(family.hyperparameters))
    assert shared.dtype == outputs.dtype
    written_out = torch.tensor([list(family.defaults)] * batch, dtype=torch.float64)
    written_out = written_out.reshape(batch, len(family.hyperparameters))
    assert torch.equal(shared, written_out)
    assert torch.equal(family(outputs, targets, shared), family(outputs, targets, written_out))


# What it is


def test_hyperparameters_are_declared(family: LossFamily):
    declared = family.hyperparameters
    assert isinstance(declared, tuple)
    assert all(isinstance(h, Hyperparameter) for h in declared)
    names = [h.name for h in declared]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in names)
    for h in declared:
        assert math.isfinite(h.low) and math.isfinite(h.high)
        assert h.low <= h.default <= h.high
        assert h.low < h.high
        for told in (h.clean, h.noisy):
            assert told is None or h.low <= told <= h.high
    assert family.defaults == tuple(h.default for h in declared)


def test_is_a_value(family: LossFamily):
    assert dataclasses.is_dataclass(family)
    assert not isinstance(family, nn.Module)
    for name in ("hyperparameters", "new"):
        with pytest.raises((dataclasses.FrozenInstanceError, AttributeError)):
            setattr(family, name, ())
    (same,) = [other for other in families() if other == family]
    assert same is not family
    assert hash(same) == hash(family)
    assert len({same, family}) == 1


def test_shows_how_to_build_it(family: LossFamily):
    names = {name: getattr(metaloss.losses, name) for name in metaloss.losses.__all__}
    assert eval(repr(family), names) == family


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda family: pickle.loads(pickle.dumps(family))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_can_be_copied_and_saved(family: LossFamily, copied):
    again = copied(family)
    assert again == family
    assert again.hyperparameters == family.hyperparameters
    arguments = moderate(family)
    assert torch.equal(again(*arguments), family(*arguments))


def test_is_documented(family: LossFamily):
    assert type(family) in family_classes()
    assert len(type(family).__doc__) > 40
    assert "Example:" in type(family).__doc__
