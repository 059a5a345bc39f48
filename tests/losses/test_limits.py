"""The limits of the families (Section 2.2)."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from metaloss.losses import GCE, JS, MAE, SL, CrossEntropy, LossFamily, PolySoft, WeightedCE
from tests.helpers import oracles
from tests.losses.cases import logits_and_targets


def at(family: LossFamily, outputs: Tensor, targets: Tensor, *values: float) -> Tensor:
    return family(outputs, targets, family.constant(len(targets), values, like=outputs))


def slope(family: LossFamily, outputs: Tensor, targets: Tensor, *values: float) -> Tensor:
    outputs = outputs.clone().requires_grad_()
    (found,) = torch.autograd.grad(at(family, outputs, targets, *values).sum(), outputs)
    return found


@pytest.fixture(params=[2, 10])
def sample(request) -> tuple[Tensor, Tensor]:
    return logits_and_targets(request.param, per_scale=4)


@pytest.fixture(params=[2, 10])
def ordinary(request) -> tuple[Tensor, Tensor]:
    """Return logits with moderate losses, for which small deviations from a limit are visible."""
    generator = torch.Generator().manual_seed(request.param)
    outputs = 4 * torch.randn(50, request.param, generator=generator, dtype=torch.float64)
    return outputs, torch.arange(50) % request.param


def test_gce_at_0_is_cross_entropy(sample):
    torch.testing.assert_close(at(GCE(), *sample, 0.0), at(CrossEntropy(), *sample))
    torch.testing.assert_close(slope(GCE(), *sample, 0.0), slope(CrossEntropy(), *sample))


def test_gce_approaches_cross_entropy(ordinary):
    ce = at(CrossEntropy(), *ordinary)
    for q in (1e-3, 1e-6, 1e-9, 1e-12):
        gap = ce - at(GCE(), *ordinary, q)
        # GCE = CE - q CE^2 / 2 + O(q^2), to the rounding of CE itself.
        torch.testing.assert_close(gap, q * ce**2 / 2, rtol=20 * q, atol=1e-14)


def test_gce_at_1_is_half_mae(sample):
    torch.testing.assert_close(at(GCE(), *sample, 1.0), at(MAE(), *sample) / 2)
    torch.testing.assert_close(slope(GCE(), *sample, 1.0), slope(MAE(), *sample) / 2)


def test_js_at_0_is_cross_entropy(sample):
    torch.testing.assert_close(at(JS(), *sample, 0.0), at(CrossEntropy(), *sample))
    torch.testing.assert_close(slope(JS(), *sample, 0.0), slope(CrossEntropy(), *sample))


def test_js_near_0_is_cross_entropy(ordinary):
    ce = at(CrossEntropy(), *ordinary)
    p = torch.exp(-ce)
    for pi in (1e-6, 1e-9):
        # JS = CE + O(pi_1 / p): the samples where that is small.
        near = pi / p < 1e-4
        assert near.sum() > 10
        torch.testing.assert_close(at(JS(), *ordinary, pi)[near], ce[near], rtol=1e-4, atol=10 * pi)


def test_js_approaches_cross_entropy_at_the_rate_of_pi(ordinary):
    ce = at(CrossEntropy(), *ordinary)
    gaps = [(at(JS(), *ordinary, pi) - ce).abs() for pi in (1e-6, 1e-7, 1e-8)]
    for wider, closer in itertools.pairwise(gaps):
        assert (closer < wider / 5)[wider > 1e-6].all()


@pytest.mark.parametrize("pi", [1e-8, 1e-6, 1 - 1e-6, 1 - 1e-12])
def test_js_beyond_its_range_agrees_with_the_oracle(ordinary, pi: float):
    outputs, targets = ordinary
    rows = zip(outputs.tolist(), targets.tolist(), strict=True)
    expected = torch.tensor([float(oracles.js(z, y, [pi])) for z, y in rows], dtype=torch.float64)
    torch.testing.assert_close(at(JS(), outputs, targets, pi), expected, rtol=1e-9, atol=1e-12)


def test_js_near_1_tends_to_half_mae(ordinary):
    half_mae = at(MAE(), *ordinary) / 2
    p = 1 - half_mae
    gaps = []
    for exponent in range(2, 13):
        gap = at(JS(), *ordinary, 1 - 10.0**-exponent) - half_mae
        gaps.append(gap.abs())
        # The next term of Eq. 5's series: (1 - p + p log p) / -log(1 - pi_1).
        rest = (1 - p + torch.xlogy(p, p)) / (exponent * math.log(10))
        torch.testing.assert_close(gap, rest, rtol=0.0, atol=10.0**-exponent + 1e-4)
    for wider, closer in itertools.pairwise(gaps):
        assert (closer <= wider + 1e-4).all()
        assert (closer.max() < wider.max()).all()


def test_sl_is_a_sum_of_its_parts(sample):
    ce, half_mae = at(CrossEntropy(), *sample), at(MAE(), *sample) / 2
    torch.testing.assert_close(at(SL(A=-6.0), *sample, 1.0, 0.0), ce)
    torch.testing.assert_close(at(SL(A=-6.0), *sample, 0.0, 1.0), 6 * half_mae)
    torch.testing.assert_close(at(SL(A=-6.0), *sample, 0.3, 0.2), 0.3 * ce + 1.2 * half_mae)


def test_weighted_cross_entropy_is_linear_in_its_weight(sample):
    ce = at(CrossEntropy(), *sample)
    torch.testing.assert_close(at(WeightedCE(), *sample, 0.25), ce / 4)
    torch.testing.assert_close(at(WeightedCE(), *sample, 0.0), torch.zeros_like(ce))


@pytest.mark.parametrize("d", [1.1, 2.0, 5.0])
def test_polysoft_is_flat_beyond_lambda(sample, d: float):
    outputs, targets = sample
    ce = at(CrossEntropy(), outputs, targets)
    beyond = ce > 0.5
    assert beyond.any() and (~beyond).any()
    values = at(PolySoft(), outputs, targets, 0.5, d)
    torch.testing.assert_close(
        values[beyond], torch.full_like(values[beyond], (d - 1) * 0.5 / d), rtol=1e-14, atol=0.0
    )
    slopes = slope(PolySoft(), outputs, targets, 0.5, d)
    assert (slopes[beyond] == 0).all()
    learning = (ce > 1e-6) & (ce < 0.4)
    assert (slopes[learning] != 0).any(dim=1).all()


def test_polysoft_with_a_large_lambda_is_cross_entropy(ordinary):
    ce = at(CrossEntropy(), *ordinary)
    torch.testing.assert_close(at(PolySoft(), *ordinary, 1e9, 2.0), ce, rtol=2e-8, atol=1e-12)


def test_polysoft_with_a_large_d_is_clipped_cross_entropy(ordinary):
    ce = at(CrossEntropy(), *ordinary)
    assert (ce > 3).any() and (ce < 3).any()
    for d in (1e3, 1e5, 1e7):
        torch.testing.assert_close(
            at(PolySoft(), *ordinary, 3.0, d), ce.clamp(max=3.0), rtol=0.0, atol=12 / d
        )


def test_polysoft_weight_at_d_2_falls_linearly(ordinary):
    """The soft weight w = 1 - CE / lambda, which scales the gradient of cross entropy."""
    weight = (1 - at(CrossEntropy(), *ordinary) / 4).clamp(min=0)
    torch.testing.assert_close(
        slope(PolySoft(), *ordinary, 4.0, 2.0), weight[:, None] * slope(CrossEntropy(), *ordinary)
    )
