"""The losses of regression: values with 50 digits, and the contract of families."""

from __future__ import annotations

import copy
import itertools
import pickle

import mpmath
import pytest
import torch
from torch import Tensor

import metaloss.losses
from metaloss.checks import InputError
from metaloss.kinds import CLASSIFICATION, REGRESSION
from metaloss.losses import (
    AbsoluteError,
    Barron,
    CrossEntropy,
    Fixed,
    LossFamily,
    Ranged,
    SquaredError,
    plain_loss,
)

FAMILIES = [
    Barron(),
    SquaredError(),
    AbsoluteError(),
    Fixed(Barron(), {"c": 0.5}),
    Ranged(Barron(), {"alpha": (-2.0, 1.5)}),
]
RESIDUALS = [0.0, 1e-6, 0.01, 0.3, 1.0, -2.5, 30.0, -1e4]
ALPHAS = [-4.0, -2.0, -1.0, -1e-3, -1e-9, 0.0, 1e-12, 1e-5, 0.3, 1.0, 1.5, 1.9, 1.99]
SCALES = [0.1, 1.0, 4.0]

everyone = pytest.mark.parametrize("family", FAMILIES, ids=str)


def barron(residual: float, alpha: float, c: float) -> mpmath.mpf:
    """Equation 1 of the paper, with its limits at 2 and at 0."""
    with mpmath.workdps(50):
        x2 = (mpmath.mpf(residual) / mpmath.mpf(c)) ** 2
        a = mpmath.mpf(alpha)
        if a == 2:
            return x2 / 2
        if a == 0:
            return mpmath.log(x2 / 2 + 1)
        away = abs(a - 2)
        return +(away / a * ((x2 / away + 1) ** (a / 2) - 1))


def points() -> tuple[Tensor, Tensor, list[tuple[float, float, float]]]:
    grid = list(itertools.product(RESIDUALS, ALPHAS, SCALES))
    rows = torch.tensor(grid, dtype=torch.float64)
    return rows[:, :1], rows[:, 1:], grid


def test_barron_against_fifty_digits() -> None:
    residuals, hparams, grid = points()
    expected = torch.tensor([float(barron(*point)) for point in grid], dtype=torch.float64)
    found = Barron()(residuals, torch.zeros_like(residuals), hparams)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-300)
    single = Barron()(residuals.float(), torch.zeros_like(residuals).float(), hparams.float())
    torch.testing.assert_close(single.double(), expected, rtol=2e-5, atol=1e-12)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_barrons_slopes_against_fifty_digits(position: int) -> None:
    residuals, hparams, grid = points()
    residuals.requires_grad_()
    hparams.requires_grad_()
    values = Barron()(residuals, torch.zeros_like(residuals), hparams)
    by_residual, by_hparams = torch.autograd.grad(values.sum(), (residuals, hparams))
    found = torch.cat([by_residual, by_hparams], dim=1)[:, position]
    for slope, point in zip(found.tolist(), grid, strict=True):
        with mpmath.workdps(50):
            # Differences that straddle a removable point would be of two formulas.
            side = {"direction": 1, "h": mpmath.mpf(10) ** -18}
            at = list(map(mpmath.mpf, point))

            def along(x: mpmath.mpf, at: list[mpmath.mpf] = at) -> mpmath.mpf:
                moved = [*at]
                moved[position] = x
                return barron(*moved)

            expected = float(mpmath.diff(along, at[position], **side))
        assert slope == pytest.approx(expected, rel=1e-6, abs=1e-12), point


def test_every_second_derivative_is_finite() -> None:
    residuals, hparams, _ = points()
    arguments = (residuals.requires_grad_(), hparams.requires_grad_())
    values = Barron()(residuals, torch.zeros_like(residuals), hparams)
    for slope in torch.autograd.grad(values.sum(), arguments, create_graph=True):
        for column in slope.unbind(dim=1):
            again = torch.autograd.grad(column.sum(), arguments, retain_graph=True)
            assert all(torch.isfinite(found).all() for found in again)


@everyone
def test_derivatives_match_finite_differences(family: LossFamily) -> None:
    outputs, targets, hparams = drawn(family)
    arguments = (outputs.requires_grad_(), hparams.requires_grad_())
    assert torch.autograd.gradcheck(
        lambda z, h: family(z, targets, h), arguments, check_forward_ad=True
    )
    if family.hyperparameters:
        assert torch.autograd.gradgradcheck(lambda z, h: family(z, targets, h), arguments)


def drawn(family: LossFamily, batch: int = 5, values: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Return float64 values of unit scale and hyperparameters well inside their ranges."""
    generator = torch.Generator().manual_seed(0)
    outputs, targets = torch.randn(2, batch, values, generator=generator, dtype=torch.float64)
    unit = torch.rand(batch, len(family.hyperparameters), generator=generator, dtype=torch.float64)
    low = torch.tensor([h.low for h in family.hyperparameters], dtype=torch.float64)
    high = torch.tensor([h.high for h in family.hyperparameters], dtype=torch.float64)
    return outputs, targets, low + (0.2 + 0.6 * unit) * (high - low)


@everyone
def test_several_values_a_sample_are_averaged(family: LossFamily) -> None:
    outputs, targets, hparams = drawn(family)
    each = [family(outputs[:, [k]], targets[:, [k]], hparams) for k in range(3)]
    torch.testing.assert_close(family(outputs, targets, hparams), torch.stack(each).mean(dim=0))


@everyone
def test_the_residual_alone_counts(family: LossFamily) -> None:
    outputs, targets, hparams = drawn(family)
    expected = family(outputs - targets, torch.zeros_like(targets), hparams)
    torch.testing.assert_close(family(outputs, targets, hparams), expected)


@everyone
def test_samples_stand_alone(family: LossFamily) -> None:
    outputs, targets, hparams = drawn(family)
    some = torch.tensor([3, 0])
    torch.testing.assert_close(
        family(outputs[some], targets[some], hparams[some]), family(outputs, targets, hparams)[some]
    )


@everyone
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(family: LossFamily, dtype: torch.dtype) -> None:
    outputs, targets, hparams = drawn(family)
    found = family(outputs.to(dtype), targets.float(), hparams.float())
    assert found.dtype == torch.float32
    assert torch.equal(found, family(outputs.to(dtype).float(), targets.float(), hparams.float()))


@everyone
def test_is_a_value(family: LossFamily) -> None:
    names = {name: getattr(metaloss.losses, name) for name in metaloss.losses.__all__}
    assert eval(repr(family), names) == family
    assert copy.deepcopy(family) == family == pickle.loads(pickle.dumps(family))
    assert family.kind == REGRESSION


@pytest.mark.parametrize("residual", [0.3, 2.0, 50.0])
def test_the_lower_alpha_the_less_a_residual_pulls(residual: float) -> None:
    alpha = torch.linspace(-4.0, 1.99, 30, dtype=torch.float64)
    hparams = torch.stack([alpha, torch.ones_like(alpha)], dim=1)
    outputs = torch.full((30, 1), residual, dtype=torch.float64, requires_grad=True)
    losses = Barron()(outputs, torch.zeros(30, 1, dtype=torch.float64), hparams)
    (pull,) = torch.autograd.grad(losses.sum(), outputs)
    assert (pull.diff(dim=0) > 0).all()
    assert (pull > 0).all()


def test_what_robust_losses_stand_beside() -> None:
    assert plain_loss(CLASSIFICATION) == CrossEntropy()
    assert plain_loss(REGRESSION) == SquaredError()


@pytest.mark.bad_input
@everyone
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda z, y: (z, y[:, 0]), r"targets: expected floating-point \[batch, values\]"),
        (lambda z, y: (z[:, 0], y), r"outputs: expected floating-point \[batch, values\]"),
        (lambda z, y: (z, y.long()), "targets: expected floating-point.*int64"),
        (lambda z, y: (z[:, :1], y), r"expected one shape.*\[5, 1\] and \[5, 3\]"),
        (lambda z, y: (z[:4], y), r"expected one shape.*\[4, 3\] and \[5, 3\]"),
    ],
)
def test_what_are_no_values_is_refused(family: LossFamily, change, words: str) -> None:
    outputs, targets, hparams = drawn(family)
    with pytest.raises(InputError, match=words):
        family(*change(outputs, targets), hparams)
