"""Every family agrees with the paper's equations, evaluated in fifty digits."""

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

# A softmax sums its classes one after the other: with 1,000 and vectors of four, as AVX2 has, a
# probability is 34 roundings off, 8e-15, which SL's A multiplies.
TOLERANCES = {torch.float64: (1e-12, 2e-13), torch.float32: (1e-5, 1e-6)}
PER_SCALE = {2: 3, 3: 3, 10: 3, 1000: 1}


def test_every_exported_family_has_an_oracle():
    without = {type(family) for family in families()} - {type(case.family) for case in CASES}
    assert not without, "write their equations in tests/helpers/oracles.py and add them to CASES"


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("num_classes", PER_SCALE)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_values(case: Case, num_classes: int, dtype: torch.dtype):
    fractions = (0.0, 0.5, 1.0) if num_classes < 1000 else (0.0, 1.0)
    outputs, targets, hparams = crossed(
        *logits_and_targets(num_classes, PER_SCALE[num_classes]),
        hparams_grid(case.family, fractions),
    )
    outputs, hparams = outputs.to(dtype), hparams.to(dtype)

    actual = case.family(outputs, targets, hparams)

    rows = zip(outputs.tolist(), targets.tolist(), hparams.tolist(), strict=True)
    expected = torch.tensor([float(case.oracle(*row)) for row in rows], dtype=torch.float64)
    assert actual.dtype == dtype
    rtol, atol = TOLERANCES[dtype]
    torch.testing.assert_close(actual.double(), expected, rtol=rtol, atol=atol)
