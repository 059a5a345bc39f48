"""Every family agrees with the paper's equations, evaluated with 50 digits."""

from __future__ import annotations

import pytest
import torch

from tests.losses.cases import (
    CASES,
    Case,
    crossed,
    families,
    hparams_grid,
    logits_and_targets,
)

# Rounding errors of a softmax add up over its classes: with 1,000 classes and AVX2 a probability is
# 8e-15 off, and SL multiplies it by A.
TOLERANCES = {torch.float64: (1e-12, 2e-13), torch.float32: (1e-5, 1e-6)}
# The number of classes and the samples at each scale of the logits.
POINTS = [
    (torch.float64, 2, 3),
    (torch.float64, 3, 3),
    pytest.param(torch.float64, 1000, 1, marks=pytest.mark.exhaustive),
    (torch.float32, 3, 3),
    (torch.float32, 10, 3),
]


def test_every_exported_family_has_an_oracle():
    without = {type(family) for family in families()} - {type(case.family) for case in CASES}
    assert not without, "write their equations in tests/helpers/oracles.py and add them to CASES"


@pytest.mark.parametrize(("dtype", "num_classes", "per_scale"), POINTS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_values(case: Case, dtype: torch.dtype, num_classes: int, per_scale: int):
    fractions = (0.0, 0.5, 1.0) if num_classes < 1000 else (0.0, 1.0)
    outputs, targets, hparams = crossed(
        *logits_and_targets(num_classes, per_scale),
        hparams_grid(case.family, fractions),
    )
    outputs, hparams = outputs.to(dtype), hparams.to(dtype)

    actual = case.family(outputs, targets, hparams)

    rows = zip(outputs.tolist(), targets.tolist(), hparams.tolist(), strict=True)
    expected = torch.tensor([float(case.oracle(*row)) for row in rows], dtype=torch.float64)
    assert actual.dtype == dtype
    rtol, atol = TOLERANCES[dtype]
    torch.testing.assert_close(actual.double(), expected, rtol=rtol, atol=atol)
