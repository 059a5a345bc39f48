"""Definition 2 and Lemma 1: the sum of a sample's losses over all labels.

The bounds of GCE, JS and PolySoft are those of tests/test_theory.py.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from metaloss.losses import GCE, MAE, SL, CrossEntropy, LossFamily, PolySoft
from tests.losses.cases import logits_and_targets

CLASSES = [2, 3, 10, 100]


def sums(family: LossFamily, outputs: Tensor, *values: float) -> Tensor:
    """Return the sum of each sample's losses over all labels, ``[samples]``."""
    samples, num_classes = outputs.shape
    every = torch.arange(num_classes).repeat(samples)
    repeated = outputs.repeat_interleave(num_classes, dim=0)
    hparams = family.constant(len(every), values, like=outputs)
    return family(repeated, every, hparams).reshape(samples, num_classes).sum(1)


@pytest.fixture(params=CLASSES)
def outputs(request) -> Tensor:
    return logits_and_targets(request.param, per_scale=4)[0]


def test_mae_and_reverse_cross_entropy_are_symmetric(outputs):
    c = outputs.shape[1]
    for family, values, constant in (
        (MAE(), (), 2 * (c - 1)),
        (GCE(), (1.0,), c - 1),
        (SL(A=-4.0), (0.0, 1.0), 4 * (c - 1)),
    ):
        found = sums(family, outputs, *values)
        expected = torch.full_like(found, constant)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=0.0)


def test_cross_entropy_is_not_symmetric(outputs):
    found = sums(CrossEntropy(), outputs)
    assert found.max() > 2 * found.min()


@pytest.mark.parametrize("d", [1.1, 2.0, 5.0])
@pytest.mark.parametrize("num_classes", CLASSES)
def test_lemma_1_needs_more_than_lambda_above_log_c(num_classes: int, d: float):
    """Its proof omits the constant branch, which a confident output takes for all labels but one.

    There the sum is ``(c - 1)(d - 1) lambda / d``: below the lemma's bound unless lambda is at
    least ``c log c / (c - 1)``. Lambda above ``1 + log c`` is enough for every output.
    """
    sure = torch.zeros(1, num_classes, dtype=torch.float64)
    sure[0, 0] = 1e4
    edge = num_classes * math.log(num_classes) / (num_classes - 1)
    bound = num_classes * (d - 1) * math.log(num_classes) / d
    for lam in (math.log(num_classes), edge, edge + 0.1):
        expected = (num_classes - 1) * (d - 1) * lam / d
        assert sums(PolySoft(), sure, lam, d).item() == pytest.approx(expected, rel=1e-12)
        assert (expected >= bound * (1 - 1e-12)) == (lam >= edge)
