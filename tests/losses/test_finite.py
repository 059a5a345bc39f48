"""The loss and its first two derivatives are finite for any logits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd import grad

from metaloss.losses import CrossEntropy, Fixed, LossFamily, PolySoft
from tests.losses.cases import crossed, families, hparams_grid, logits_and_targets

DTYPES = [torch.float32, torch.float64]


def assert_finite_to_second_order(
    family: LossFamily, outputs: Tensor, targets: Tensor, hparams: Tensor
) -> None:
    """Differentiates a weighted sum of the first derivatives, in which any NaN shows."""
    variables = outputs.clone().requires_grad_(), hparams.clone().requires_grad_()
    values = family(variables[0], targets, variables[1])
    first = grad(
        values.sum(), variables, create_graph=True, allow_unused=True, materialize_grads=True
    )
    generator = torch.Generator().manual_seed(0)
    mixture = sum(
        (slope * torch.randn(slope.shape, generator=generator, dtype=slope.dtype)).sum()
        for slope in first
    )
    second = grad(mixture, variables, allow_unused=True, materialize_grads=True)
    for order, found in enumerate(([values], first, second)):
        for tensor in found:
            bad = (~torch.isfinite(tensor)).reshape(len(values), -1).any(1)
            assert not bad.any(), f"order {order}, hyperparameters {hparams[bad].unique(dim=0)}"


@pytest.mark.parametrize(
    ("dtype", "num_classes"),
    [(torch.float32, 2), (torch.float32, 10), (torch.float32, 1000), (torch.float64, 3)],
)
@pytest.mark.parametrize("family", families(), ids=str)
def test_on_the_whole_range(family: LossFamily, dtype: torch.dtype, num_classes: int):
    outputs, targets, hparams = crossed(
        *logits_and_targets(num_classes, per_scale=3),
        hparams_grid(family, (0.0, 0.01, 0.25, 0.5, 0.75, 0.99, 1.0)),
    )
    assert_finite_to_second_order(family, outputs.to(dtype), targets, hparams.to(dtype))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("family", families(), ids=str)
def test_on_a_fine_grid_of_confidence(family: LossFamily, dtype: torch.dtype):
    offsets = torch.linspace(-130.0, 130.0, 1041, dtype=dtype)
    outputs = torch.stack([offsets, torch.zeros_like(offsets)], dim=1)
    targets = torch.zeros(len(offsets), dtype=torch.int64)
    grid = hparams_grid(family, (0.0, 0.25, 0.5, 0.75, 1.0)).to(dtype)
    assert_finite_to_second_order(family, *crossed(outputs, targets, grid))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("family", families(), ids=str)
def test_at_what_an_oracle_gives(family: LossFamily, dtype: torch.dtype):
    known = [
        [h.default if value is None else value for h, value in told]
        for told in (
            [(h, h.clean) for h in family.hyperparameters],
            [(h, h.noisy) for h in family.hyperparameters],
        )
    ]
    rows = torch.tensor(known, dtype=dtype)
    outputs, targets, hparams = crossed(*logits_and_targets(10, per_scale=3), rows)
    assert_finite_to_second_order(family, outputs.to(dtype), targets, hparams)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("d", [1.1, 2.0, 3.0, 5.0])
def test_polysoft_where_lambda_is_the_cross_entropy(d: float, dtype: torch.dtype):
    """The slope of the weight is unbounded just inside lambda, and the weight is 0 beyond it."""
    outputs = torch.randn(200, 5, generator=torch.Generator().manual_seed(1), dtype=dtype)
    targets = torch.arange(200) % 5
    ce = CrossEntropy()(outputs, targets, outputs[:, :0])
    just_above = torch.nextafter(ce, torch.full_like(ce, torch.inf))
    just_below = torch.nextafter(ce, torch.zeros_like(ce))
    family = Fixed(PolySoft(), {"d": d})
    for lam in (ce, just_above, just_below):
        assert_finite_to_second_order(family, outputs, targets, lam[:, None])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("lam", [0.0, 1e-30, 1e-3])
def test_polysoft_with_a_tiny_lambda(lam: float, dtype: torch.dtype):
    outputs, targets = logits_and_targets(3, per_scale=3)
    rows = torch.tensor([[lam, d] for d in (1.1, 2.0, 5.0)], dtype=dtype)
    outputs, targets, hparams = crossed(outputs.to(dtype), targets, rows)
    assert_finite_to_second_order(PolySoft(), outputs, targets, hparams)
