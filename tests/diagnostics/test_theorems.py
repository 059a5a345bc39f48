"""The theorems in numbers: the minimiser against other ways, the checks, and that they can fail."""

from __future__ import annotations

from functools import reduce
from typing import Any

import pytest
import torch
from torch import Tensor

from metaloss import theory
from metaloss.checks import InputError
from metaloss.diagnostics.theorems import check as checking
from metaloss.diagnostics.theorems import check_theorems, counterexamples
from metaloss.diagnostics.theorems.distributions import Gaps, gaps, random_transitions
from metaloss.diagnostics.theorems.minimise import Term, minimise, risk
from metaloss.diagnostics.theorems.statement import CLEAN, NOISY, Statement
from metaloss.losses import GCE, JS, CrossEntropy, PolySoft
from metaloss.theory.transitions import check_transition


def weights(inputs: int, classes: int) -> Tensor:
    draws = torch.Generator().manual_seed(classes)
    spread = torch.linspace(0.5, 5.0, inputs, dtype=torch.float64)[:, None]
    logits = torch.randn(inputs, classes, generator=draws, dtype=torch.float64)
    return (spread * logits).softmax(1)


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("q", [0.0, 0.3, 0.8])
def test_the_minimiser_of_gce_is_a_power_of_the_labels(classes: int, q: float) -> None:
    """Setting the derivatives equal gives outputs in proportion to ``p^(1 / (1 - q))``."""
    p = weights(6, classes)
    expected = p ** (1 / (1 - q))
    expected = expected / expected.sum(1, keepdim=True)
    found = minimise([Term(GCE(), {"q": q}, p)], p[None])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def lower_bound(terms: list[Term], steps: int) -> Tensor:
    """A number below every risk: the least one if probabilities may sum to ``1 + c / steps``.

    No loss rises with the label's probability, so rounding probabilities up to a grid lowers the
    risk. The least risk on the grid is found one label after the other.
    """
    classes = terms[0].weights.shape[1]
    grid = torch.arange(steps + classes + 1).double() / steps
    each = sum(
        w[:, :, None] * theory.at_probability(loss, grid.clamp_max(1.0), values)
        for loss, values, w in terms
    )

    def added(best: Tensor, more: Tensor) -> Tensor:
        size = len(grid)
        rest = torch.arange(size)[:, None] - torch.arange(size)
        both = best[:, rest.clamp_min(0)] + more[:, None, :]
        return torch.where(rest >= 0, both, torch.inf).amin(dim=2)

    return reduce(added, each.unbind(1))[:, -1]


VALUES = [
    ({"lam": 1.2, "d": 5.0}, {"lam": 1.2, "d": 5.0}),
    ({"lam": 2.5, "d": 2.0}, {"lam": 2.5, "d": 2.0}),
    ({"lam": 4.0, "d": 2.0}, {"lam": 4.0, "d": 2.0}),
    ({"lam": 10.0, "d": 2.0}, {"lam": 4.0, "d": 2.0}),
    ({"lam": 10.0, "d": 1.2}, {"lam": 6.0, "d": 1.2}),
]


@pytest.mark.parametrize("classes", [2, 3, pytest.param(5, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("values", VALUES, ids=str)
def test_no_output_has_a_smaller_risk_where_the_loss_is_not_convex(values, classes: int) -> None:
    p = weights(6, classes)
    noise = theory.symmetric_transition(classes, 0.6 * (1 - 1 / classes))
    right = p * noise.diagonal()
    terms = [
        Term(PolySoft(), v, w) for v, w in zip(values, (right, p @ noise - right), strict=True)
    ]
    found = risk(terms, minimise(terms, p[None]))
    draws = torch.Generator().manual_seed(0)
    for scale in (0.3, 1.0, 3.0, 8.0):
        other = (scale * torch.randn(2000, 1, classes, generator=draws).double()).softmax(-1)
        some = other.expand(-1, 6, -1).reshape(-1, classes)
        many = [Term(t.loss, t.values, t.weights.repeat(2000, 1)) for t in terms]
        assert (risk(many, some).reshape(2000, 6) >= found - 1e-10).all()
    coarse = found - lower_bound(terms, 100)
    fine = found - lower_bound(terms, 400)
    assert (fine >= -1e-10).all()
    # What is left is the rounding alone: it falls as the grid gets finer, nearly in proportion.
    assert (fine <= 0.45 * coarse + 1e-3).all() and float(fine.max()) < 0.05


def test_the_risk_of_several_labels_is_their_expected_loss() -> None:
    f = torch.tensor([[0.2, 0.8, 0.0]], dtype=torch.float64)
    p = torch.tensor([[0.5, 0.5, 0.0]], dtype=torch.float64)
    expected = -0.5 * (torch.tensor(0.2).double().log() + torch.tensor(0.8).double().log())
    assert float(risk([Term(CrossEntropy(), {}, p)], f)) == pytest.approx(float(expected))
    assert float(risk([Term(CrossEntropy(), {}, p.roll(1, 1))], f)) == torch.inf
    assert float(risk([Term(JS(), {"pi_1": 1.0}, p)], f)) == pytest.approx(0.5)


@pytest.mark.exhaustive
def test_the_theorems_hold_and_wrong_bounds_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Gaps] = []

    def kept(*given: Any) -> Gaps:
        found.append(gaps(*given))
        return found[-1]

    monkeypatch.setattr(checking, "gaps", kept)
    checks = check_theorems("small", seed=1)  # the docstring's example has seed 0
    assert [check for check in checks if not check.holds] == []
    assert {(check.theorem, check.part) for check in checks} == {
        *((theorem, part) for theorem in (1, 2) for part in (1, 2, 3, 4)),
        *((theorem, part) for theorem in (3, 4) for part in (1, 2, 3)),
    }
    # They are not empty: gaps are there, and come near to some of the bounds.
    ratios = [check.value / check.high for check in checks if check.high > 1e-6]
    assert max(ratios) > 0.7

    def smaller(bounds: theory.RiskBounds) -> theory.RiskBounds:
        return theory.RiskBounds(bounds.noisy / 10, bounds.clean / 100)

    first, second = theory.theorem_1, theory.theorem_2
    wrong = {
        "theorem_1": lambda *given: smaller(first(*given)),
        "theorem_2": lambda *given, **more: second(*given, **more) / 10,
        "theorem_3": lambda *_, **__: theory.RiskBounds(0.0, 0.0),
        "theorem_4": lambda *_, **__: 0.0,
    }
    for name, bound in wrong.items():
        monkeypatch.setattr(theory, name, bound)
    again = iter(found)  # the minimisers are the same, and take most of the time
    monkeypatch.setattr(checking, "gaps", lambda *_: next(again))
    failing = [check for check in check_theorems("small", seed=1) if not check.holds]
    assert {(check.theorem, check.quantity) for check in failing} == {
        (1, NOISY),
        (1, CLEAN),
        (2, NOISY),
        (3, NOISY),
        (3, CLEAN),
        (4, NOISY),
    }
    assert all(not check.low <= check.value <= check.high for check in failing)


@pytest.mark.parametrize("value", [0.2 + 1e-6, -1e-6, float("nan"), float("inf")])
def test_one_value_outside_of_its_bounds_is_enough(value: float) -> None:
    statement = Statement(1, 1, "GCE(q=1)", 2, "symmetric", 0.4)
    assert statement.check(NOISY, 0.0, [0.1, 0.2 + 1e-10], 0.2).holds
    assert not statement.check(NOISY, 0.0, [0.1, value, 0.2], 0.2).holds
    assert not statement.check(CLEAN, 0.0, [0.1, value, 0.2], 0.2).holds


def test_what_the_paper_prints_fails_where_it_is_said_to() -> None:
    found = counterexamples()
    assert not any(check.holds for check in found)
    for check in found:  # by far more than the tolerance
        assert max(check.low - check.value, check.value - check.high) > 1e-4
    assert {(check.theorem, check.part) for check in found} == {
        *((1, 2), (1, 3), (2, 3), (2, 4), (3, 1), (3, 2), (4, 2), (4, 3))
    }


def test_the_counterexample_at_log_c_without_the_search() -> None:
    """Two outputs written down: the first is better without noise, the second with it."""
    values = {"lam": 2.302585092994046, "d": 5.0}
    p = torch.tensor([[0.7, 0.3, *[0.0] * 8]], dtype=torch.float64)
    noisy = p @ theory.symmetric_transition(10, 0.4)
    one_hot = torch.eye(10, dtype=torch.float64)[:1]
    t = torch.linspace(0.5, 1.0, 5001, dtype=torch.float64)
    both = torch.zeros(5001, 10, dtype=torch.float64)
    both[:, 0], both[:, 1] = t, 1 - t

    def of(labels: Tensor, outputs: Tensor) -> Tensor:
        return risk([Term(PolySoft(), values, labels.expand(len(outputs), -1))], outputs)

    clean, under_noise = of(p, both), of(noisy, both)
    star = int(clean.argmin())
    assert (
        float(under_noise[star]) > float(torch.cat([under_noise, of(noisy, one_hot)]).min()) + 1e-3
    )


def test_random_noise_keeps_each_class_mostly_its_own() -> None:
    for classes in (2, 3, 5):
        matrices = random_transitions(classes, 5, torch.Generator().manual_seed(0))
        for matrix in matrices:
            check_transition(matrix)
        assert float(matrices[0].diagonal().min()) == pytest.approx(0.51)


@pytest.mark.bad_input
def test_bad_arguments_are_refused() -> None:
    with pytest.raises(InputError, match="size: expected one of small, full, got 'large'"):
        check_theorems("large")
    with pytest.raises(InputError, match="seed: expected a whole number of at least 0"):
        check_theorems(seed=-1)
