"""The bounds of the theory: closed forms, brute force, and where the printed formulas fail."""

from __future__ import annotations

import math

import pytest
import torch

from metaloss import theory
from metaloss.checks import InputError
from metaloss.losses import GCE, JS, MAE, SL, ActivePassive, CrossEntropy, Fixed, PolySoft, Ranged
from metaloss.theory.oracle import oracle_coefficient
from tests.helpers import oracles

RCE = {"gamma_1": 0.0, "gamma_2": 1.0}
CASES = [
    (MAE(), {}),
    (SL(), RCE),
    *((GCE(), {"q": q}) for q in (0.1, 0.7, 1.0)),
    *((JS(), {"pi_1": pi}) for pi in (0.1, 0.5, 0.999)),
    *(
        (PolySoft(), {"lam": lam, "d": d})
        for lam in (0.3, 1.2, 2.0, 4.0, 10.0)
        for d in (1.1, 2.0, 5.0)
    ),
]


def points(num_classes: int) -> torch.Tensor:
    """Random outputs, from nearly uniform to nearly one-hot, and uniform ones on some classes."""
    draws = torch.Generator().manual_seed(0)
    logits = torch.randn(4000, num_classes, generator=draws, dtype=torch.float64)
    scale = torch.logspace(-2, 1.5, 4000).double()[:, None]
    some = torch.full((num_classes, num_classes), -40.0, dtype=torch.float64).triu(1)
    return torch.cat([scale * logits, some])


@pytest.mark.parametrize(("loss", "values"), CASES, ids=str)
@pytest.mark.parametrize("c", [2, 3, 10])
def test_no_output_has_a_sum_outside_the_range_and_some_come_near_its_ends(loss, values, c: int):
    sums = theory.class_sums(loss, points(c), values)
    low, high = theory.class_sum_bounds(loss, c, values)
    assert low - 1e-9 <= float(sums.min()) and float(sums.max()) <= high + 1e-9
    assert float(sums.min()) <= low + 0.01 * abs(low) + 1e-9
    if c < 10:  # too few random points come near the ends with more classes
        assert float(sums.max()) >= high - 0.01 * abs(high)


@pytest.mark.parametrize(("lam", "d"), [(0.5, 2.0), (1.3, 5.0), (2.5, 1.3), (4.0, 2.0), (8.0, 5.0)])
def test_the_range_of_polysoft_against_a_grid_of_all_outputs(lam: float, d: float):
    steps = 400
    i = torch.arange(steps + 1).double()
    first, second = torch.meshgrid(i, i, indexing="ij")
    inside = first + second <= steps
    f = torch.stack([first, second, steps - first - second], -1)[inside] / steps
    logits = f.clamp_min(1e-300).log()
    sums = theory.class_sums(PolySoft(), logits, {"lam": lam, "d": d})
    low, high = theory.class_sum_bounds(PolySoft(), 3, {"lam": lam, "d": d})
    assert low - 1e-9 <= float(sums.min()) <= low + 1e-4
    assert high - 1e-2 <= float(sums.max()) <= high + 1e-9


@pytest.mark.parametrize("c", [2, 3, 10, 100])
def test_the_coefficients_are_those_printed(c: int):
    for q in (0.1, 0.5, 0.7, 1.0):
        assert theory.coefficient(GCE(), c, {"q": q}) == pytest.approx(
            (c ** (1 - q) - 1) / q, rel=1e-9, abs=1e-9
        )
    assert theory.coefficient(SL(), c, RCE) == theory.coefficient(MAE(), c) == 0
    for pi in (0.1, 0.5, 0.9):
        far, uniform = [100.0] + [-100.0] * (c - 1), [0.0] * c
        # All labels have the same loss but the one that is certain.
        one_hot = oracles.js(far, 0, (pi,)) + (c - 1) * oracles.js(far, 1, (pi,))
        even = c * oracles.js(uniform, 0, (pi,))
        assert theory.coefficient(JS(), c, {"pi_1": pi}) == pytest.approx(float(one_hot - even))


def test_theorem_1_by_hand():
    c, q, rate = 10, 0.7, 0.4
    noisy, clean = theory.theorem_1(GCE(), c, rate, {"q": q})
    assert noisy == pytest.approx(rate * (c ** (1 - q) - 1) / (q * (c - 1)))
    assert clean == pytest.approx(rate * (1 - c ** (1 - q)) / (q * (c - 1 - rate * c)))
    assert theory.theorem_1(SL(), c, rate, RCE) == (0, 0)


def test_the_printed_bound_of_polysoft_is_looser_where_lemma_1_holds_and_fails_at_log_c():
    for c in (2, 3, 10):
        for d in (1.1, 2.0, 5.0):
            for lam, holds in ((1 + math.log(c), True), (3 + math.log(c), True), (math.log(c), 0)):
                printed = c * (d - 1) / d * (lam - math.log(c))
                exact = theory.coefficient(PolySoft(), c, {"lam": lam, "d": d})
                assert (exact <= printed + 1e-9) == bool(holds)


def test_lemma_1_holds_where_it_is_given_and_its_last_term_is_log_c():
    for c in (2, 3, 10, 100):
        for d in (1.1, 2.0, 5.0):
            lam = 1 + math.log(c)
            low, high = theory.lemma_1(c, lam, d)
            exact = theory.class_sum_bounds(PolySoft(), c, {"lam": lam, "d": d})
            assert low <= exact.low and exact.high <= high
            assert exact.low < c * (d - 1) / d * lam  # the print's last term, as a lower bound
    with pytest.raises(InputError, match="lam: expected at least 1 \\+ log 10"):
        theory.lemma_1(10, math.log(10), 2.0)


def test_the_printed_condition_of_theorem_1_allows_a_division_by_zero():
    for c in (2, 3, 7, 10):
        for loss, values in ((GCE(), {"q": 0.7}), (SL(), RCE)):
            bounds = theory.theorem_1(loss, c, 1 - 1 / c, values)
            assert bounds.clean == -math.inf and math.isfinite(bounds.noisy)
    assert theory.theorem_1(GCE(), 10, 0.4, {"q": 1.0}).clean == 0  # printed: A' < 0


def test_theorem_2_by_hand():
    flips = torch.tensor([[0.7, 0.3, 0.0], [0.1, 0.8, 0.1], [0.0, 0.4, 0.6]]).double()
    probs = [0.5, 0.25, 0.25]
    kept = 0.5 * 0.7 + 0.25 * 0.8 + 0.25 * 0.6
    found = theory.theorem_2(GCE(), flips, {"q": 0.5}, class_probs=probs)
    assert found == pytest.approx((math.sqrt(3) - 1) / 0.5 * kept)
    assert theory.theorem_2(SL(), flips, RCE) == 0


def test_theorem_3_by_hand():
    for loss in (GCE(), JS()):
        noisy, clean = theory.theorem_3(loss, 10, 0.4)
        assert noisy == pytest.approx(0.4 / 9)
        assert clean == pytest.approx(-0.4 / (10 - 1 - 10 * 0.4 + 0.4))
    assert theory.theorem_3(PolySoft(), 10, 0.4) == (0, 0)
    assert oracle_coefficient(GCE(), 10, {"q": 0.5}) == pytest.approx(9**0.5 / 0.5)


@pytest.mark.parametrize("c", [2, 3, 6])
def test_the_oracles_coefficient_against_random_outputs(c: int):
    outputs = points(c)
    for loss, noisy in (
        (GCE(), {"q": 0.6}),
        (JS(), {"pi_1": 0.9}),
        (PolySoft(), {"lam": 1.5, "d": 2.0}),
        (PolySoft(), {"lam": 5.0, "d": 3.0}),
    ):
        p = outputs.softmax(1)[:, 1:]
        others = theory.at_probability(loss, p, noisy).sum(1)
        found = float(others.max() - others.min())
        bound = oracle_coefficient(loss, c, noisy)
        assert 0.85 * bound <= found <= bound + 1e-9


def test_theorem_4_is_0_at_its_limits_and_falls_towards_them():
    flips = torch.tensor([[0.6, 0.4], [0.2, 0.8]]).double()
    for loss in (GCE(), JS(), PolySoft()):
        assert theory.theorem_4(loss, flips) == 0
    assert theory.theorem_4(GCE(), flips, noisy={"q": 0.8}) == pytest.approx(0.3 * 0.25)
    falling = [theory.theorem_4(JS(), flips, noisy={"pi_1": pi}) for pi in (0.9, 0.99, 0.9999)]
    assert falling == sorted(falling, reverse=True) and falling[-1] > 0.02
    assert theory.theorem_4(PolySoft(), flips, noisy={"lam": 1.0}) == 0
    assert theory.theorem_4(PolySoft(), flips, noisy={"lam": 3.0}) == pytest.approx(0.3 * 1.0)


@pytest.mark.parametrize(
    ("clean", "noisy", "kappa", "loss"),
    [
        ({"q": 0.0}, {"q": 0.7}, 1.0, GCE()),
        ({"pi_1": 0.001}, {"pi_1": 0.99}, 1.0, JS()),
        ({"lam": 1.0, "d": 2.0}, {"lam": 3.0, "d": 2.0}, 0.5, PolySoft()),
        ({"lam": 10.0, "d": 5.0}, {"lam": 0.7, "d": 5.0}, 0.8, PolySoft()),
    ],
)
def test_the_two_inequalities_that_theorem_4_rests_on(clean, noisy, kappa: float, loss):
    p = torch.cat([torch.logspace(-12, 0, 500).double(), torch.linspace(0, 1, 500).double()])
    zero = float(theory.at_probability(loss, torch.zeros(1).double(), noisy))
    assert (theory.at_probability(loss, p, clean) >= kappa * (1 - p) - 1e-12).all()
    excess = zero - theory.at_probability(loss, p, noisy) - kappa * p
    assert float(excess.max()) == pytest.approx(max(0.0, zero - kappa), abs=1e-9)


def test_fig_3_and_the_number_of_classes_from_which_the_oracle_has_the_tighter_bound():
    def first(loss, values) -> int:
        return next(c for c in range(2, 99) if theory.coefficient(loss, c, values) > 1)

    assert first(GCE(), {"q": 0.7}) == 6 == math.ceil(1.7 ** (1 / 0.3))
    assert first(GCE(), {"q": 0.3}) == 2
    assert first(JS(), {"pi_1": 0.5}) == 3
    assert theory.coefficient(GCE(), 10**6, {"q": 1.0}) == 0  # never


def test_symmetric_and_bounded():
    for loss, values, symmetric, bounded in (
        (MAE(), {}, True, True),
        (SL(), RCE, True, True),
        (SL(), {}, False, False),
        (GCE(), {"q": 1.0}, True, True),
        (GCE(), {"q": 0.0}, False, False),
        (JS(), {"pi_1": 0.5}, False, True),
        (PolySoft(), {}, False, True),
        (CrossEntropy(), {}, False, False),
    ):
        sums = theory.class_sum_bounds(loss, 5, values)
        assert (sums.symmetric, sums.bounded) == (symmetric, bounded)
        assert theory.is_symmetric(loss, values) == symmetric
    assert theory.class_sum_bounds(CrossEntropy(), 5).low == pytest.approx(5 * math.log(5))


def test_wrapped_families_are_those_they_wrap():
    plain = theory.class_sum_bounds(PolySoft(), 4, {"lam": 2.0, "d": 3.0})
    wrapped = Ranged(Fixed(PolySoft(), {"d": 3.0}), {"lam": (1.0, 5.0)})
    assert theory.class_sum_bounds(wrapped, 4, {"lam": 2.0}) == plain


FLIPS = torch.tensor([[0.4, 0.6], [0.0, 1.0]]).double()


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.theorem_1(GCE(), 10, 0.91), "rate: expected a number in .0, 1 - 1/10."),
        (lambda: theory.theorem_1(GCE(), 10, -0.1), "rate: expected a number in .0, 1 - 1/10."),
        (lambda: theory.theorem_1(GCE(), 10, "0.1"), "rate: expected a number"),
        (lambda: theory.theorem_1(GCE(), 1, 0.1), "num_classes: expected a whole number of at le"),
        (lambda: theory.theorem_1(GCE(), 10, 0.1, {"q": 0.0}), "loss: expected a bounded one"),
        (lambda: theory.theorem_1(SL(), 10, 0.1), "loss: expected a bounded one"),
        (lambda: theory.theorem_1(GCE(), 10, 0.1, {"q": 1.5}), "q: expected a number in .0, 1."),
        (lambda: theory.theorem_1(PolySoft(), 3, 0.1, {"d": 1.0}), "d: expected a number above 1"),
        (lambda: theory.theorem_1(GCE(), 3, 0.1, {"p": 1.0}), "GCE: expected a hyperparameter of"),
        (lambda: theory.theorem_1(ActivePassive(), 3, 0.1), "loss: expected one of the paper's"),
        (lambda: theory.theorem_2(GCE(), FLIPS), "class 0 keeps its own with probability 0.4"),
        (lambda: theory.theorem_2(GCE(), FLIPS * 2), "transition: expected rows that are distrib"),
        (lambda: theory.theorem_2(GCE(), FLIPS[:1]), "transition: expected a tensor .classes, cl"),
        (
            lambda: theory.theorem_2(GCE(), FLIPS.flip(1), class_probs=[0.5]),
            "class 1 keeps its own with probability 0",
        ),
        (
            lambda: theory.theorem_2(GCE(), torch.eye(2), class_probs=[0.5]),
            "class_probs: expected a distribution over 2 classes",
        ),
        (lambda: theory.theorem_3(GCE(), 3, 1.0), "rate: expected a number in .0, 1."),
        (lambda: theory.theorem_3(SL(), 3, 0.1), "loss: expected GCE, JS or PolySoft"),
        (lambda: theory.theorem_3(JS(), 3, 0.1, noisy={"pi_1": 0.0}), "with which the loss is bo"),
        (
            lambda: theory.theorem_4(PolySoft(), torch.eye(2), clean={"lam": 0.5}),
            "lam of right labels: expected at least 1",
        ),
        (
            lambda: theory.theorem_4(PolySoft(), torch.eye(2), noisy={"d": 3.0}),
            "d: expected one value for all labels",
        ),
        (lambda: theory.symmetric_transition(3, 1.1), "rate: expected a number in .0, 1."),
    ],
)
def test_what_is_outside_of_the_conditions_is_refused(call, message: str):
    with pytest.raises(InputError, match=message) as refused:
        call()
    assert "\n" not in str(refused.value)
