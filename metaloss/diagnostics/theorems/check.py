"""Hold the bounds of Theorems 1 to 4 against the minimisers of finite distributions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from metaloss import theory
from metaloss.checks import check_at_least, require
from metaloss.diagnostics.theorems.distributions import (
    Distribution,
    gaps,
    one_class_each,
    random_labels,
    random_transitions,
)
from metaloss.losses import GCE, JS, SL, LossFamily, PolySoft
from metaloss.theory.of_probability import titled

TOLERANCE = 1e-8
"""By how much a value may be beyond its bound: far above the errors of the minimisation."""

NOISY, CLEAN = "R^η(f*) - R^η(f̂)", "R(f*) - R(f̂)"
Values = Mapping[str, float]


class Check(NamedTuple):
    """An inequality, and whether it holds.

    Attributes:
        theorem: the theorem's number.
        part: its part.
        loss: the loss with its hyperparameters.
        num_classes: the number of classes.
        noise: "symmetric" or "class-dependent".
        rate: the probability of a wrong label.
        quantity: what is bounded.
        low: its lower bound.
        value: its value. Of several distributions it is the one nearest to the bound.
        high: its upper bound.
        holds: whether the value is between the bounds, up to :data:`TOLERANCE`.
        note: a remark.
    """

    theorem: int
    part: int
    loss: str
    num_classes: int
    noise: str
    rate: float
    quantity: str
    low: float
    value: float
    high: float
    holds: bool
    note: str


def within(low: float, value: float, high: float) -> bool:
    """Return whether a value is between its bounds, up to :data:`TOLERANCE`.

    Example:
        >>> from metaloss.diagnostics.theorems.check import within
        >>> within(0.0, -1e-12, 1.0), within(0.0, 1.1, 1.0), within(0.0, float("nan"), 1.0)
        (True, False, False)
    """
    return low - TOLERANCE <= value <= high + TOLERANCE


@dataclass(frozen=True)
class Bounds:
    """The functions that give the bounds; each may be replaced by one of the same arguments.

    Attributes:
        theorem_1: :func:`metaloss.theory.theorem_1`.
        theorem_2: :func:`metaloss.theory.theorem_2`.
        theorem_3: :func:`metaloss.theory.theorem_3`.
        theorem_4: :func:`metaloss.theory.theorem_4`.
    """

    theorem_1: Callable[..., theory.RiskBounds] = theory.theorem_1
    theorem_2: Callable[..., float] = theory.theorem_2
    theorem_3: Callable[..., theory.RiskBounds] = theory.theorem_3
    theorem_4: Callable[..., float] = theory.theorem_4


class _Size(NamedTuple):
    classes: tuple[int, ...]
    shares: tuple[float, ...]  # of the largest rate, 1 - 1/c
    distributions: int
    inputs: int
    matrices: int
    every_value: bool


_SIZES = {
    "small": _Size((2, 3), (0.5, 0.95, 1.0), 1, 4, 3, every_value=False),
    "full": _Size((2, 3, 5), (0.2, 0.5, 0.8, 0.95, 1.0), 3, 6, 8, every_value=True),
}


def check_theorems(size: str = "small", *, seed: int = 0, bounds: Bounds | None = None) -> list[Check]:
    r"""Hold the bounds of :mod:`metaloss.theory` against minimisers on finite distributions.

    The inputs are few, and the network can be any function of them: :math:`f^*` and :math:`\hat f`
    are minimised over the probabilities of each input, in float64, with the losses of
    :mod:`metaloss.losses`. Labels are drawn for Theorems 1 and 3, and certain for Theorems 2 and 4.

    Args:
        size: "small" takes some seconds, "full" one to two minutes.
        seed: of the distributions and the noise.
        bounds: functions in place of those of :mod:`metaloss.theory`.

    Returns:
        A check for each theorem, loss, number of classes, rate and quantity.

    Raises:
        InputError: an unknown size, or a negative seed.

    Example:
        >>> from metaloss.diagnostics import check_theorems
        >>> checks = check_theorems("small")
        >>> len(checks), all(check.holds for check in checks)
        (0, True)
    """
    require(size in _SIZES, f"size: expected one of {', '.join(_SIZES)}, got {size!r}")
    generator = torch.Generator().manual_seed(check_at_least("seed", seed, 0))
    chosen, found = bounds or Bounds(), []
    for c in _SIZES[size].classes:
        drawn = _drawn(_SIZES[size], c, generator)
        found += _shared(_SIZES[size], c, drawn, chosen)
        found += _oracle(_SIZES[size], c, drawn, chosen)
    return sorted(found, key=lambda check: (check.theorem, check.part))


class _Drawn(NamedTuple):
    several: list[Distribution]
    certain: Distribution
    matrices: Tensor
    rates: list[float]

    @property
    def symmetric(self) -> Tensor:
        c = self.matrices.shape[-1]
        return torch.stack([theory.symmetric_transition(c, rate) for rate in self.rates])


def _drawn(size: _Size, c: int, generator: torch.Generator) -> _Drawn:
    several = [random_labels(c, size.inputs, generator) for _ in range(size.distributions)]
    matrices = random_transitions(c, size.matrices, generator)
    rates = [share * (1 - 1 / c) for share in size.shares]
    return _Drawn(several, one_class_each(c, generator), matrices, rates)


def shared_values(c: int, every: bool) -> Iterator[tuple[int, LossFamily, Values]]:
    """Yield the parts of Theorems 1 and 2 with hyperparameters that all samples share."""
    yield from ((1, GCE(), {"q": q}) for q in ((0.05, 0.3, 0.7, 1.0) if every else (0.3, 1.0)))
    yield 2, SL(), {"gamma_1": 0.0, "gamma_2": 1.0}
    at_log_c = {"lam": math.log(c), "d": 5.0}
    more = [{"lam": 0.5, "d": 2.0}, {"lam": 1.7, "d": 5.0}, {"lam": 10.0, "d": 1.1}]
    for values in [at_log_c, {"lam": 4.0, "d": 2.0}, *(more if every else [])]:
        yield 3, PolySoft(), values
    yield from ((4, JS(), {"pi_1": pi}) for pi in ((0.05, 0.5, 0.9, 0.999) if every else (0.5,)))


def oracle_pairs(every: bool) -> Iterator[tuple[int, LossFamily, Values, Values, str]]:
    """Yield the parts of Theorems 3 and 4: right labels, wrong labels, a note."""
    limit, finite = "the theorem's limit", "finite hyperparameters"
    pairs: list[tuple[int, LossFamily, Values, Values, str]] = [
        (1, GCE(), {}, {}, limit),
        (2, PolySoft(), {}, {}, "λ = 0 for wrong labels"),
        (2, PolySoft(), {}, {"lam": 1.0}, finite),
        (3, JS(), {}, {}, limit),
        (3, JS(), {"pi_1": 0.001}, {"pi_1": 0.999}, "the oracle of this package"),
    ]
    if every:
        pairs += [
            (1, GCE(), {"q": 0.1}, {"q": 0.8}, finite),
            (2, PolySoft(), {"lam": 3.0, "d": 5.0}, {"lam": 3.0, "d": 5.0}, finite),
            (2, PolySoft(), {"d": 1.5}, {"lam": 4.0, "d": 1.5}, finite),
        ]
    yield from pairs


def _shared(size: _Size, c: int, drawn: _Drawn, bounds: Bounds) -> Iterator[Check]:
    for part, loss, values in shared_values(c, size.every_value):
        name = "RCE" if isinstance(loss, SL) else titled(loss, values)
        found = [gaps(each, drawn.symmetric, loss, values, values) for each in drawn.several]
        noisy = torch.stack([each.noisy for each in found])
        clean = torch.stack([each.clean for each in found])
        for k, rate in enumerate(drawn.rates):
            limits = bounds.theorem_1(loss, c, rate, values)
            yield from _two(1, part, name, c, rate, limits, noisy[:, k], clean[:, k], "")
        under = gaps(drawn.certain, drawn.matrices, loss, values, values)
        probs = drawn.certain.class_probs
        for matrix, gap in zip(drawn.matrices, under.noisy.tolist(), strict=True):
            high = bounds.theorem_2(loss, matrix, values, class_probs=probs)
            yield _one(2, part, name, matrix, probs, gap, high, "")


def _oracle(size: _Size, c: int, drawn: _Drawn, bounds: Bounds) -> Iterator[Check]:
    for part, loss, right, wrong, note in oracle_pairs(size.every_value):
        clean, noisy = theory.oracle_values(loss, right, wrong)
        name = f"{titled(loss, clean)} | {titled(loss, noisy)}"
        found = [gaps(each, drawn.symmetric, loss, clean, noisy) for each in drawn.several]
        star = torch.stack([each.noisy for each in found])
        hat = torch.stack([each.clean for each in found])
        for k, rate in enumerate(drawn.rates):
            limits = bounds.theorem_3(loss, c, rate, noisy=noisy)
            yield from _two(3, part, name, c, rate, limits, star[:, k], hat[:, k], note)
        under = gaps(drawn.certain, drawn.matrices, loss, clean, noisy)
        probs = drawn.certain.class_probs
        for matrix, gap in zip(drawn.matrices, under.noisy.tolist(), strict=True):
            high = bounds.theorem_4(loss, matrix, clean=clean, noisy=noisy, class_probs=probs)
            yield _one(4, part, name, matrix, probs, gap, high, note)


def _two(
    theorem: int,
    part: int,
    name: str,
    c: int,
    rate: float,
    limits: theory.RiskBounds,
    noisy: Tensor,
    clean: Tensor,
    note: str,
) -> Iterator[Check]:
    """The two inequalities of Theorem 1 or 3, for the worst of several distributions."""
    about = (theorem, part, name, c, "symmetric", rate)
    for quantity, low, values, high in (
        (NOISY, 0.0, noisy.tolist(), limits.noisy),
        (CLEAN, limits.clean, clean.tolist(), 0.0),
    ):
        value = max(values) if quantity == NOISY else min(values)
        holds = all(within(low, each, high) for each in values)
        yield Check(*about, quantity, low, value, high, holds, note)


def _one(
    theorem: int,
    part: int,
    name: str,
    matrix: Tensor,
    probs: list[float],
    gap: float,
    high: float,
    note: str,
) -> Check:
    """The inequality of Theorem 2 or 4."""
    rate = 1 - float(matrix.diagonal() @ torch.tensor(probs, dtype=matrix.dtype))
    about = (theorem, part, name, len(matrix), "class-dependent", rate)
    return Check(*about, NOISY, 0.0, gap, high, within(0.0, gap, high), note)
