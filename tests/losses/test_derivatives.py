"""First and second derivatives against differences taken with hundreds of digits.

The hypergradient consists of the mixed derivatives by a logit and a hyperparameter.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import pytest
import torch
from torch import Tensor
from torch.autograd import grad

from tests.helpers.oracles import cross_entropy, derivative
from tests.losses.cases import CASES, Case, crossed, hparams_grid, logits_and_targets

NEAR_KINK = 1e-3
TOLERANCES = {torch.float64: (1e-8, 1e-11), torch.float32: (2e-4, 5e-5)}


def points(case: Case, num_classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the points to differentiate at, which are exact in float32.

    Points without a derivative are left out, and for PolySoft those near its kink at lambda.
    """
    fractions = (0.0, 1.0) if num_classes == 3 else ()
    grid = hparams_grid(case.family, case.fractions or fractions).float().double()
    found = crossed(*logits_and_targets(num_classes, per_scale=1), grid)
    rows = zip(*(t.tolist() for t in found), strict=True)
    smooth = torch.tensor([not case.kinked(*row) for row in rows])
    outputs, targets, hparams = (t[smooth] for t in found)
    lam = dict(getattr(case.family, "values", {})).get("lam")
    for k, h in enumerate(case.family.hyperparameters):
        lam = hparams[:, k] if h.name == "lam" else lam
    if lam is None:
        return outputs, targets, hparams
    ce = torch.tensor(
        [float(cross_entropy(*row)) for row in zip(outputs.tolist(), targets.tolist(), strict=True)]
    )
    smooth = (ce - lam).abs() > NEAR_KINK
    return outputs[smooth], targets[smooth], hparams[smooth]


def orders(case: Case) -> list[tuple[int, ...]]:
    """Return the variables to differentiate by: 0 and 1 are logits, 2.. hyperparameters."""
    variables = range(2 + len(case.family.hyperparameters))
    seconds = itertools.combinations_with_replacement(variables, 2)
    return [*((v,) for v in variables), *seconds]


@lru_cache
def expected(case: Case, num_classes: int) -> dict[tuple[int, ...], Tensor]:
    found: dict[tuple[int, ...], Tensor] = {}
    rows = list(zip(*(t.tolist() for t in points(case, num_classes)), strict=True))
    for order in orders(case):
        values = []
        for outputs, target, hparams in rows:
            place = [target, (target + 1) % num_classes]
            place += range(num_classes, num_classes + len(hparams))
            wrt = [place[variable] for variable in order]
            values.append(float(derivative(case.oracle, outputs, target, hparams, wrt)))
        found[order] = torch.tensor(values, dtype=torch.float64)
    return found


def by_autograd(case: Case, num_classes: int, dtype: torch.dtype) -> dict[tuple[int, ...], Tensor]:
    outputs, targets, hparams = points(case, num_classes)
    label = targets[:, None]
    columns = [
        outputs.gather(1, label).to(dtype),
        outputs.gather(1, (label + 1) % num_classes).to(dtype),
        *(hparams[:, [k]].to(dtype) for k in range(hparams.shape[1])),
    ]
    for column in columns:
        column.requires_grad_()
    filled = outputs.to(dtype).scatter(1, label, columns[0])
    filled = filled.scatter(1, (label + 1) % num_classes, columns[1])
    losses = case.family(filled, targets, torch.cat([hparams.to(dtype)[:, :0], *columns[2:]], 1))

    found: dict[tuple[int, ...], Tensor] = {}
    first = grad(losses.sum(), columns, create_graph=True)
    for i, slope in enumerate(first):
        found[(i,)] = slope.detach().double().squeeze(1)
        second = grad(
            slope.sum(), columns, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        for j, curvature in enumerate(second):
            found[(i, j)] = curvature.double().squeeze(1)
    return found


@pytest.mark.parametrize(
    ("dtype", "num_classes"),
    [
        (torch.float64, 3),
        (torch.float32, 3),
        pytest.param(torch.float64, 10, marks=pytest.mark.exhaustive),
    ],
)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_against_the_oracle(case: Case, dtype: torch.dtype, num_classes: int):
    actual = by_autograd(case, num_classes, dtype)
    rtol, atol = TOLERANCES[dtype]
    hparams = points(case, num_classes)[2]
    for order, value in expected(case, num_classes).items():
        sharp = torch.ones(len(value), dtype=torch.bool)
        if dtype == torch.float32 and min(order) > 1:
            sharp = (hparams >= case.sharp_from).all(dim=1)
        torch.testing.assert_close(
            actual[order][sharp],
            value[sharp],
            rtol=rtol,
            atol=atol,
            msg=lambda m, o=order: f"by {o}: {m}",
        )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_second_derivatives_do_not_depend_on_the_order(case: Case):
    actual = by_autograd(case, 3, torch.float64)
    for i, j in itertools.combinations(range(2 + len(case.family.hyperparameters)), 2):
        torch.testing.assert_close(actual[(i, j)], actual[(j, i)], rtol=1e-8, atol=1e-11)
