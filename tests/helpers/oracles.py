"""Reference losses: the equations as printed, one sample at a time, in fifty digits.

They share no code with the package. Every value is computed from the logits by the full softmax
vector and the sums as printed. Every derivative is a finite difference with so many digits that its
error is far below the precision of float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from mpmath import MPContext, mpf

mp = MPContext()
mp.dps = 50
_STEP = mp.mpf(10) ** -25  # of the differences: half the digits, so that the other half remain

Numbers = Sequence[float]
Oracle = Callable[[Numbers, int, Numbers], mpf]
"""Maps one sample's logits, label and hyperparameters to its loss."""


@lru_cache(maxsize=4096)
def _softmax(logits: tuple[mpf, ...], precision: int) -> tuple[mpf, ...]:
    weights = [mp.exp(logit) for logit in logits]
    total = mp.fsum(weights)
    return tuple(weight / total for weight in weights)


def softmax(logits: Numbers) -> tuple[mpf, ...]:
    """Return the network's output ``f(x)``; mpmath's exponents are unbounded, so no overflow."""
    return _softmax(tuple(mp.mpf(logit) for logit in logits), mp.prec)


def one_hot(target: int, num_classes: int) -> list[mpf]:
    """Return the label ``y`` of Eq. 1, with one component 1 and the others 0."""
    return [mp.mpf(1) if j == target else mp.mpf(0) for j in range(num_classes)]


def kl(left: Sequence[mpf], right: Sequence[mpf]) -> mpf:
    """Kullback-Leibler divergence, with ``0 log 0 = 0``."""
    return mp.fsum(a * mp.log(a / b) for a, b in zip(left, right, strict=True) if a != 0)


def cross_entropy(logits: Numbers, target: int, hparams: Numbers = ()) -> mpf:
    """Eq. 1."""
    f, y = softmax(logits), one_hot(target, len(logits))
    return -mp.fsum(y_j * mp.log(f_j) for y_j, f_j in zip(y, f, strict=True) if y_j != 0)


def mae(logits: Numbers, target: int, hparams: Numbers = ()) -> mpf:
    """The L1 distance between the label and the network's output."""
    f, y = softmax(logits), one_hot(target, len(logits))
    return mp.fsum(abs(y_j - f_j) for y_j, f_j in zip(y, f, strict=True))


def gce(logits: Numbers, target: int, hparams: Numbers) -> mpf:
    """Eq. 2, with the limit that the paper states at ``q = 0``."""
    (q,) = map(mp.mpf, hparams)
    if q == 0:
        return cross_entropy(logits, target)
    return (1 - softmax(logits)[target] ** q) / q


def rce(logits: Numbers, target: int, a: float) -> mpf:
    """Reverse cross entropy, the equation above Eq. 3."""
    return -mp.fsum(mp.mpf(a) * f_j for j, f_j in enumerate(softmax(logits)) if j != target)


def sl(a: float) -> Oracle:
    """Eq. 3, with the constant ``A``."""

    def loss(logits: Numbers, target: int, hparams: Numbers) -> mpf:
        gamma_1, gamma_2 = map(mp.mpf, hparams)
        return gamma_1 * cross_entropy(logits, target) + gamma_2 * rce(logits, target, a)

    return loss


def polysoft(logits: Numbers, target: int, hparams: Numbers) -> mpf:
    """Eq. 4."""
    lam, d = map(mp.mpf, hparams)
    ce = cross_entropy(logits, target)
    ceiling = (d - 1) * lam / d
    if ce >= lam:
        return ceiling
    return ceiling * (1 - (1 - ce / lam) ** (d / (d - 1)))


def js(logits: Numbers, target: int, hparams: Numbers) -> mpf:
    """Eq. 5 with ``pi_2 = 1 - pi_1``, and its limits at ``pi_1 = 0`` and ``pi_1 = 1``."""
    (pi_1,) = map(mp.mpf, hparams)
    if pi_1 == 0:
        return cross_entropy(logits, target)
    if pi_1 == 1:
        return mae(logits, target) / 2
    pi_2 = 1 - pi_1
    f, y = softmax(logits), one_hot(target, len(logits))
    m = [pi_1 * y_j + pi_2 * f_j for y_j, f_j in zip(y, f, strict=True)]
    z = -(1 - pi_1) * mp.log(1 - pi_1)
    return (pi_1 * kl(y, m) + pi_2 * kl(f, m)) / z


def weighted_cross_entropy(logits: Numbers, target: int, hparams: Numbers) -> mpf:
    """The loss of sample reweighting: a weight times Eq. 1."""
    (weight,) = map(mp.mpf, hparams)
    return weight * cross_entropy(logits, target)


def focal(logits: Numbers, target: int, hparams: Numbers) -> mpf:
    """Lin et al., Eq. 4."""
    (gamma,) = map(mp.mpf, hparams)
    p = softmax(logits)[target]
    others = mp.fsum(f for j, f in enumerate(softmax(logits)) if j != target)
    return -(others**gamma) * mp.log(p)


def label_smoothing(logits: Numbers, target: int, hparams: Numbers) -> mpf:
    """Szegedy et al., Section 7: cross entropy against ``(1 - epsilon) y + epsilon u``."""
    (epsilon,) = map(mp.mpf, hparams)
    f, y = softmax(logits), one_hot(target, len(logits))
    u = mp.mpf(1) / len(logits)
    return -mp.fsum(
        ((1 - epsilon) * y_j + epsilon * u) * mp.log(f_j) for y_j, f_j in zip(y, f, strict=True)
    )


def taylor(logits: Numbers, target: int, hparams: Numbers) -> mpf:
    """Feng et al., Eq. 7; for a fractional order, with a fraction of the next term."""
    (t,) = map(mp.mpf, hparams)
    s = mp.fsum(f for j, f in enumerate(softmax(logits)) if j != target)
    whole = int(mp.floor(t))
    terms = [s**k / k for k in range(1, whole + 1)]
    return mp.fsum(terms) + (t - whole) * s ** (whole + 1) / (whole + 1)


def normalized_cross_entropy(logits: Numbers, target: int, hparams: Numbers = ()) -> mpf:
    """Ma et al., Eq. 2, applied to Eq. 1 of the paper."""
    every = [-mp.log(f_j) for f_j in softmax(logits)]
    return every[target] / mp.fsum(every)


def active_passive(logits: Numbers, target: int, hparams: Numbers) -> mpf:
    """Ma et al., Eq. 9, with the two default losses."""
    alpha, beta = map(mp.mpf, hparams)
    return alpha * normalized_cross_entropy(logits, target) + beta * mae(logits, target)


def soft_bootstrapping(logits: Numbers, target: int, hparams: Numbers) -> mpf:
    """Reed et al., Eq. 6."""
    (beta,) = map(mp.mpf, hparams)
    f, y = softmax(logits), one_hot(target, len(logits))
    return -mp.fsum(
        (beta * y_j + (1 - beta) * f_j) * mp.log(f_j) for y_j, f_j in zip(y, f, strict=True)
    )


def hard_bootstrapping(logits: Numbers, target: int, hparams: Numbers) -> mpf:
    """Reed et al., Eq. 7."""
    (beta,) = map(mp.mpf, hparams)
    f, y = softmax(logits), one_hot(target, len(logits))
    z = one_hot(max(range(len(f)), key=lambda j: f[j]), len(f))
    return -mp.fsum(
        (beta * y_j + (1 - beta) * z_j) * mp.log(f_j) for y_j, z_j, f_j in zip(y, z, f, strict=True)
    )


def derivative(
    oracle: Oracle, logits: Numbers, target: int, hparams: Numbers, wrt: Sequence[int]
) -> mpf:
    """Compute a partial derivative of ``oracle`` by high-precision differences.

    Args:
        oracle: the loss.
        logits: the sample's logits.
        target: its label.
        hparams: its hyperparameters.
        wrt: the indices of the variables to differentiate by, one entry per order. The logits are
            counted first, then the hyperparameters: ``[target, len(logits)]`` is the mixed second
            derivative in the true class's logit and the first hyperparameter.
    """
    point = [mp.mpf(value) for value in (*logits, *hparams)]
    variables = sorted(set(wrt))
    orders = [list(wrt).count(variable) for variable in variables]

    def moved(*values: mpf) -> mpf:
        here = list(point)
        for variable, value in zip(variables, values, strict=True):
            here[variable] = value
        return oracle(here[: len(logits)], target, here[len(logits) :])

    if len(variables) == 1:
        return mp.diff(moved, point[variables[0]], orders[0], h=_STEP)
    return mp.diff(moved, tuple(point[v] for v in variables), tuple(orders), h=_STEP)
