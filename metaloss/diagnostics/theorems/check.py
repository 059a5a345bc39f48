"""Hold the bounds of Theorems 1 to 4 against the minimisers of finite distributions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from metaloss import theory
from metaloss.checks import check_at_least, check_one_of
from metaloss.diagnostics.theorems.distributions import (
    Distribution,
    gaps,
    one_class_each,
    random_labels,
    random_transitions,
)
from metaloss.diagnostics.theorems.statement import CLEAN, NOISY, Check, Statement
from metaloss.losses import GCE, JS, SL, LossFamily, PolySoft
from metaloss.theory.of_probability import titled

Values = Mapping[str, float]


class _Size(NamedTuple):
    classes: tuple[int, ...]
    shares: tuple[float, ...]  # of the largest rate, 1 - 1/c
    distributions: int
    inputs: int
    matrices: int
    every_value: bool


_SIZES = {
    "small": _Size((2, 3), (0.5, 0.95, 1.0), 1, 4, 3, every_value=False),
    "full": _Size((2, 3, 5), (0.2, 0.5, 0.8, 0.95, 1.0), 2, 6, 6, every_value=True),
}


def check_theorems(size: str = "small", *, seed: int = 0) -> list[Check]:
    r"""Hold the bounds of :mod:`metaloss.theory` against minimisers on finite distributions.

    The inputs are few, and the network can be any function of them: :math:`f^*` and :math:`\hat f`
    are minimised over the probabilities of each input, in float64, with the losses of
    :mod:`metaloss.losses`. Inputs are of several classes for Theorems 1 and 3, and of one each for
    Theorems 2 and 4.

    Args:
        size: "small" takes some seconds, "full" about a minute.
        seed: of the distributions and the noise.

    Returns:
        A check for each theorem, loss, number of classes, rate and quantity.

    Raises:
        InputError: an unknown size, or a negative seed.

    Example:
        >>> from metaloss.diagnostics import check_theorems
        >>> checks = check_theorems("small")
        >>> len(checks), all(check.holds for check in checks)
        (198, True)
    """
    check_one_of("size", size, _SIZES)
    generator = torch.Generator().manual_seed(check_at_least("seed", seed, 0))
    found: list[Check] = []
    for c in _SIZES[size].classes:
        drawn = _drawn(_SIZES[size], c, generator)
        found += _shared(drawn, _SIZES[size].every_value)
        found += _oracle(drawn, _SIZES[size].every_value)
    return sorted(found, key=lambda check: (check.theorem, check.part))


class _Drawn(NamedTuple):
    """The distributions and the noise for one number of classes."""

    several: list[Distribution]
    certain: Distribution
    matrices: Tensor
    rates: list[float]

    @property
    def classes(self) -> int:
        return self.matrices.shape[-1]

    def of_several(self, loss: LossFamily, clean: Values, noisy: Values) -> Iterator[_Found]:
        """Yield what symmetric noise does to all distributions, for each rate."""
        noise = [theory.symmetric_transition(self.classes, rate) for rate in self.rates]
        found = [gaps(each, torch.stack(noise), loss, clean, noisy) for each in self.several]
        for k, rate in enumerate(self.rates):
            noisy_gaps = [float(each.noisy[k]) for each in found]
            yield _Found(rate, noisy_gaps, [float(each.clean[k]) for each in found])

    def of_certain(
        self, loss: LossFamily, clean: Values, noisy: Values
    ) -> Iterator[tuple[Tensor, _Found]]:
        """Yield what class-dependent noise does to inputs of one class, for each matrix."""
        found = gaps(self.certain, self.matrices, loss, clean, noisy)
        probs = torch.tensor(self.certain.class_probs, dtype=torch.float64)
        for k, matrix in enumerate(self.matrices):
            rate = 1 - float(matrix.diagonal() @ probs)
            yield matrix, _Found(rate, [float(found.noisy[k])], [float(found.clean[k])])


class _Found(NamedTuple):
    rate: float
    noisy: list[float]
    clean: list[float]


def _drawn(size: _Size, c: int, generator: torch.Generator) -> _Drawn:
    several = [random_labels(c, size.inputs, generator) for _ in range(size.distributions)]
    matrices = random_transitions(c, size.matrices, generator)
    rates = [share * (1 - 1 / c) for share in size.shares]
    return _Drawn(several, one_class_each(c, generator), matrices, rates)


def _shared_values(c: int, every: bool) -> Iterator[tuple[int, LossFamily, Values]]:
    """Yield the parts of Theorems 1 and 2 with hyperparameters that all samples share."""
    yield from ((1, GCE(), {"q": q}) for q in ((0.05, 0.3, 0.7, 1.0) if every else (0.3, 1.0)))
    yield 2, SL(), {"gamma_1": 0.0, "gamma_2": 1.0}
    at_log_c = {"lam": math.log(c), "d": 5.0}
    more = [{"lam": 0.5, "d": 2.0}, {"lam": 1.7, "d": 5.0}, {"lam": 10.0, "d": 1.1}]
    for values in [at_log_c, {"lam": 4.0, "d": 2.0}, *(more if every else [])]:
        yield 3, PolySoft(), values
    yield from ((4, JS(), {"pi_1": pi}) for pi in ((0.05, 0.5, 0.9, 0.999) if every else (0.5,)))


def _oracle_values(every: bool) -> Iterator[tuple[int, LossFamily, Values, Values, str]]:
    """Yield the parts of Theorems 3 and 4: values of right labels and of wrong ones, a note."""
    limit, finite = "the theorem's limit", "other than the theorem's limit"
    yield 1, GCE(), {}, {}, limit
    yield 2, PolySoft(), {}, {}, "λ = 0 for wrong labels"
    yield 2, PolySoft(), {}, {"lam": 1.0}, finite
    yield 3, JS(), {}, {}, limit
    yield 3, JS(), {"pi_1": 0.001}, {"pi_1": 0.999}, "the values of OracleAdjuster"
    if every:
        yield 1, GCE(), {"q": 0.1}, {"q": 0.8}, finite
        yield 2, PolySoft(), {"lam": 3.0, "d": 5.0}, {"lam": 3.0, "d": 5.0}, finite
        yield 2, PolySoft(), {"d": 1.5}, {"lam": 4.0, "d": 1.5}, finite


def _shared(drawn: _Drawn, every: bool) -> Iterator[Check]:
    """Yield the checks of Theorems 1 and 2."""
    c, probs = drawn.classes, drawn.certain.class_probs
    for part, loss, values in _shared_values(c, every):
        name = "RCE" if isinstance(loss, SL) else titled(loss, values)
        for found in drawn.of_several(loss, values, values):
            limits = theory.theorem_1(loss, c, found.rate, values)
            yield from _both(Statement(1, part, name, c, "symmetric", found.rate), found, limits)
        for matrix, found in drawn.of_certain(loss, values, values):
            high = theory.theorem_2(loss, matrix, values, class_probs=probs)
            statement = Statement(2, part, name, c, "class-dependent", found.rate)
            yield statement.check(NOISY, 0.0, found.noisy, high)


def _oracle(drawn: _Drawn, every: bool) -> Iterator[Check]:
    """Yield the checks of Theorems 3 and 4."""
    c, probs = drawn.classes, drawn.certain.class_probs
    for part, loss, right, wrong, note in _oracle_values(every):
        clean, noisy = theory.oracle_values(loss, right, wrong)
        name = f"{titled(loss, clean)} | {titled(loss, noisy)}"
        for found in drawn.of_several(loss, clean, noisy):
            limits = theory.theorem_3(loss, c, found.rate, noisy=noisy)
            statement = Statement(3, part, name, c, "symmetric", found.rate, note)
            yield from _both(statement, found, limits)
        for matrix, found in drawn.of_certain(loss, clean, noisy):
            high = theory.theorem_4(loss, matrix, clean=clean, noisy=noisy, class_probs=probs)
            statement = Statement(4, part, name, c, "class-dependent", found.rate, note)
            yield statement.check(NOISY, 0.0, found.noisy, high)


def _both(statement: Statement, found: _Found, limits: theory.RiskBounds) -> Iterator[Check]:
    """Yield the two inequalities of Theorem 1 or 3."""
    yield statement.check(NOISY, 0.0, found.noisy, limits.noisy)
    yield statement.check(CLEAN, limits.clean, found.clean, 0.0)
