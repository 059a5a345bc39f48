"""Statements of the paper that fail as printed, each with a counterexample in numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from metaloss import theory
from metaloss.diagnostics.theorems.distributions import Distribution, gaps
from metaloss.diagnostics.theorems.minimise import Term, risk
from metaloss.diagnostics.theorems.statement import CLEAN, NOISY, Check, Statement
from metaloss.losses import GCE, JS, SL, PolySoft
from metaloss.theory.of_probability import titled


def counterexamples() -> list[Check]:
    r"""Return the paper's statements that fail as printed, each where it does.

    The bounds are the printed ones. :mod:`metaloss.theory` has those that hold, and
    :func:`check_theorems` checks them.

    Returns:
        A check for each, none of which holds; ``note`` says what is wrong.

    Example:
        >>> from metaloss.diagnostics.theorems import counterexamples
        >>> any(check.holds for check in counterexamples())
        False
    """
    return [
        *_polysoft_near_log_c(),
        _rate_of_equality(),
        _class_dependent_near_log_c(),
        _arguments_of_js(),
        _signs(),
        *_fixed_lambda(),
        _limit_of_js(),
    ]


def _certain(num_classes: int) -> Distribution:
    """Return an input of each class."""
    every = torch.eye(num_classes, dtype=torch.float64)
    return Distribution(every.mean(dim=0), every)


def _one_input(*labels: float) -> Distribution:
    return Distribution(
        torch.ones(1, dtype=torch.float64), torch.tensor([labels], dtype=torch.float64)
    )


def _one_pair(num_classes: int, rate: float) -> Tensor:
    """Class 0 becomes class 1."""
    matrix = torch.eye(num_classes, dtype=torch.float64)
    matrix[0, 0], matrix[0, 1] = 1 - rate, rate
    return matrix


def _polysoft_near_log_c() -> list[Check]:
    """At lambda = log c both bounds of Lemma 1 are the same, and those of Theorem 1 are 0."""
    c, d, rate, lam = 7, 5.0, 0.4, math.log(7)
    values = {"lam": lam, "d": d}
    every = [Term(PolySoft(), values, torch.ones(1, c, dtype=torch.float64))]
    one_hot = torch.eye(c, dtype=torch.float64)[:1]
    total, printed = float(risk(every, one_hot)), c * (d - 1) * lam / d
    labels = _one_input(0.6, 0.4, *[0.0] * 5)
    found = gaps(labels, theory.symmetric_transition(c, rate)[None], PolySoft(), values, values)
    note = "Lemma 1 leaves out outputs with L_CE >= λ; it needs λ >= 1 + log c"
    of = Statement(1, 3, titled(PolySoft(), values), c, "symmetric", rate, note)
    return [
        of.check("Σ_j L(f, j)", printed, [total], printed),
        of.check(NOISY, 0.0, [float(found.noisy)], 0.0),
        of.check(CLEAN, 0.0, [float(found.clean)], 0.0),
    ]


def _rate_of_equality() -> Check:
    """At this rate every output has the same noisy risk, so any is a minimiser."""
    c = 3
    rate, values = 1 - 1 / c, {"gamma_1": 0.0, "gamma_2": 1.0}
    labels, outputs = torch.eye(c, dtype=torch.float64)[:1], torch.eye(c, dtype=torch.float64)
    noisy = (labels @ theory.symmetric_transition(c, rate)).expand(c, -1)
    risks = risk([Term(SL(), values, noisy)], outputs)
    minimisers = outputs[risks <= risks.min() + 1e-12]
    clean = risk([Term(SL(), values, labels.expand(len(minimisers), -1))], minimisers)
    least = float(risk([Term(SL(), values, labels)], labels))
    note = "A' is not 0 at η = 1 - 1/c, where all outputs have the same noisy risk"
    of = Statement(1, 2, "RCE", c, "symmetric", rate, note)
    return of.check(CLEAN, 0.0, (least - clean).tolist(), 0.0)


def _class_dependent_near_log_c() -> Check:
    c, values = 7, {"lam": math.log(7), "d": 5.0}
    found = gaps(_certain(c), _one_pair(c, 0.45)[None], PolySoft(), values, values)
    note = "B is from Lemma 1; it needs λ >= 1 + log c"
    of = Statement(2, 3, titled(PolySoft(), values), c, "class-dependent", 0.45 / c, note)
    return of.check(NOISY, 0.0, [float(found.noisy)], 0.0)


def _arguments_of_js() -> Check:
    """Return the bound if the output is the first argument of the loss, as it is in Eq. 5."""
    c, pi, kept = 3, 0.1, 0.35
    every = torch.eye(c, dtype=torch.float64)
    uniform = torch.full((c,), 1 / c, dtype=torch.float64)
    exchanged = sum(
        _js(every[0], output, pi) - _js(uniform, output, pi) for output in every.unbind()
    )
    noise = theory.symmetric_transition(c, 1 - kept)[None]
    found = gaps(_certain(c), noise, JS(), {"pi_1": pi}, {"pi_1": pi})
    note = "the label is the first argument of L here, and not the second as in Eq. 5"
    of = Statement(2, 4, titled(JS(), {"pi_1": pi}), c, "class-dependent", 1 - kept, note)
    return of.check(NOISY, 0.0, [float(found.noisy)], exchanged * kept)


def _js(label: Tensor, output: Tensor, pi: float) -> float:
    """Eq. 5 for any two distributions."""
    mean = pi * label + (1 - pi) * output
    divergence = pi * _kl(label, mean) + (1 - pi) * _kl(output, mean)
    return divergence / (-(1 - pi) * math.log(1 - pi))


def _kl(left: Tensor, right: Tensor) -> float:
    inside = left > 0
    return float((left[inside] * (left[inside] / right[inside]).log()).sum())


def _signs() -> Check:
    c, rate = 3, 0.4
    noise = theory.symmetric_transition(c, rate)[None]
    found = gaps(_one_input(0.6, 0.3, 0.1), noise, GCE(), {"q": 0.0}, {"q": 1.0})
    note = "the signs are reversed: no number is at least 0 and at most a negative one"
    of = Statement(3, 1, "GCE(q=0) | GCE(q=1)", c, "symmetric", rate, note)
    return of.check(CLEAN, 0.0, [float(found.clean)], -rate / (c - 1 - c * rate + rate))


def _fixed_lambda() -> list[Check]:
    c, clean, noisy = 3, {"lam": 10.0, "d": 2.0}, {"lam": 4.0, "d": 2.0}
    name = f"{titled(PolySoft(), clean)} | {titled(PolySoft(), noisy)}"
    note = "a fixed λ > 0 of wrong labels is not below L_CE for every f: the minimiser fits them"
    half = theory.symmetric_transition(c, 0.5)[None]
    symmetric = gaps(_one_input(1.0, 0.0, 0.0), half, PolySoft(), clean, noisy)
    dependent = gaps(_certain(c), _one_pair(c, 0.4)[None], PolySoft(), clean, noisy)
    third = Statement(3, 2, name, c, "symmetric", 0.5, note)
    fourth = Statement(4, 2, name, c, "class-dependent", 0.4 / c, note)
    return [
        third.check(NOISY, 0.0, [float(symmetric.noisy)], 0.0),
        fourth.check(NOISY, 0.0, [float(dependent.noisy)], 0.0),
    ]


def _limit_of_js() -> Check:
    c, clean, noisy = 3, {"pi_1": 0.001}, {"pi_1": 0.999}
    found = gaps(_certain(c), _one_pair(c, 0.4)[None], JS(), clean, noisy)
    name = f"{titled(JS(), clean)} | {titled(JS(), noisy)}"
    note = "noise-tolerant in the limit alone: π_1 = 0.999 is far from it"
    of = Statement(4, 3, name, c, "class-dependent", 0.4 / c, note)
    return of.check(NOISY, 0.0, [float(found.noisy)], 0.0)
