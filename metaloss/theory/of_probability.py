"""The paper's losses as functions of the label's probability."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from metaloss.checks import InputError, is_number, require
from metaloss.losses import GCE, JS, MAE, SL, CrossEntropy, Fixed, LossFamily, PolySoft, Ranged

LOG_ZERO = -1e300
"""The logit of a probability of 0: finite, so that 0 times it is 0."""

# By family: the hyperparameters for which the loss or its limit is defined. They are wider than the
# ranges of an adjuster, in which two derivatives are finite too.
_DEFINED: dict[type[LossFamily], dict[str, tuple[float, float]]] = {
    CrossEntropy: {},
    MAE: {},
    GCE: {"q": (0.0, 1.0)},
    SL: {"gamma_1": (0.0, math.inf), "gamma_2": (0.0, math.inf)},
    PolySoft: {"lam": (0.0, math.inf), "d": (1.0, math.inf)},
    JS: {"pi_1": (0.0, 1.0)},
}


def filled(loss: LossFamily, values: Mapping[str, float] | None = None) -> dict[str, float]:
    """Return a value for each hyperparameter, the default where none is given.

    Raises:
        InputError: an unknown name.

    Example:
        >>> from metaloss.losses import PolySoft
        >>> from metaloss.theory.of_probability import filled
        >>> filled(PolySoft(), {"lam": 3.0})
        {'lam': 3.0, 'd': 2.0}
    """
    names = [h.name for h in loss.hyperparameters]
    for name in values or {}:
        require(
            name in names,
            f"{loss.family}: expected a hyperparameter of ({', '.join(names)}), got {name!r}",
        )
    return {h.name: (values or {}).get(h.name, h.default) for h in loss.hyperparameters}


def of_paper(
    loss: LossFamily, values: Mapping[str, float] | None = None
) -> tuple[LossFamily, dict[str, float]]:
    """Return a loss of the paper and all its hyperparameters.

    :class:`~metaloss.losses.Fixed` and :class:`~metaloss.losses.Ranged` are removed. The limit of
    JS at 1, half of MAE, is returned as GCE with :math:`q = 1`.

    Args:
        loss: cross entropy, MAE, GCE, SL, PolySoft or JS.
        values: hyperparameter values by name; the others have their defaults.

    Raises:
        InputError: another family, an unknown name, or a value for which the loss is not defined.

    Example:
        >>> from metaloss.losses import JS, Fixed, PolySoft
        >>> from metaloss.theory.of_probability import of_paper
        >>> of_paper(Fixed(PolySoft(), {"d": 3.0}), {"lam": 5.0})
        (PolySoft(), {'lam': 5.0, 'd': 3.0})
        >>> of_paper(JS(), {"pi_1": 1.0})
        (GCE(), {'q': 1.0})
    """
    given = filled(loss, values)
    while isinstance(loss, Fixed | Ranged):
        given |= getattr(loss, "values", {})
        loss = loss.loss
    if type(loss) not in _DEFINED:
        known = ", ".join(family.__name__ for family in _DEFINED)
        raise InputError(f"loss: expected one of the paper's ({known}), got {loss.family}")
    for name, (low, high) in _DEFINED[type(loss)].items():
        value = given[name]
        require(
            is_number(value) and low <= value <= high and math.isfinite(value),
            f"{name}: expected a number in [{low:g}, {high:g}], got {value!r}",
        )
    require(given.get("d", 2.0) > 1, f"d: expected a number above 1, got {given.get('d')!r}")
    if isinstance(loss, JS) and given["pi_1"] == 1:
        return GCE(), {"q": 1.0}
    return loss, given


def titled(loss: LossFamily, values: Mapping[str, float] | None = None) -> str:
    """Return a loss with its hyperparameters in words, as messages and tables show it.

    Example:
        >>> from metaloss.losses import GCE
        >>> from metaloss.theory.of_probability import titled
        >>> titled(GCE(), {"q": 0.5})
        'GCE(q=0.5)'
    """
    given = filled(loss, values)
    return f"{loss.family}({', '.join(f'{name}={value:g}' for name, value in given.items())})"


def log_probability(p: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return the logarithm of probabilities, with a finite one of 0."""
    return p.log().clamp_min(LOG_ZERO)


def at_probability(
    loss: LossFamily, p: Float[Tensor, "*shape"], values: Mapping[str, float] | None = None
) -> Float[Tensor, "*shape"]:
    r"""Return a loss of the paper where the label's probability is :math:`p`.

    With one-hot labels these losses depend on the network's output only through
    :math:`p = f_y`.

    Args:
        loss: cross entropy, MAE, GCE, SL, PolySoft or JS.
        p: probabilities in [0, 1], float64.
        values: hyperparameter values by name; the others have their defaults.

    Returns:
        The losses; infinite where ``p`` is 0 and the loss is unbounded.

    Raises:
        InputError: another family, an unknown name, or a value for which the loss is not defined.

    Example:
        >>> import torch
        >>> from metaloss.losses import GCE
        >>> from metaloss.theory.of_probability import at_probability
        >>> at_probability(GCE(), torch.tensor([0.0, 0.5, 1.0]).double(), {"q": 1.0}).tolist()
        [1.0, 0.5, 0.0]
    """
    loss, values = of_paper(loss, values)
    outputs = torch.stack([log_probability(p), log_probability(1 - p)], dim=-1).reshape(-1, 2)
    labels = torch.zeros(len(outputs), dtype=torch.int64)
    hparams = loss.constant(len(outputs), list(values.values()), like=outputs)
    found = loss(outputs, labels, hparams).reshape(p.shape) + 0.0  # -0.0 becomes 0.0
    return torch.where((p == 0) & is_unbounded(loss, values), torch.inf, found)


def is_unbounded(loss: LossFamily, values: Mapping[str, float]) -> bool:
    """Return whether the loss, as :func:`of_paper` returns it, has no maximum.

    That is so if it has cross entropy as a part or as its limit.

    Example:
        >>> from metaloss.losses import SL
        >>> from metaloss.theory.of_probability import is_unbounded
        >>> is_unbounded(SL(), {"gamma_1": 0.1, "gamma_2": 1.0})
        True
    """
    if isinstance(loss, CrossEntropy):
        return True
    if isinstance(loss, SL):
        return values["gamma_1"] > 0
    return isinstance(loss, GCE | JS) and next(iter(values.values())) == 0


def largest(loss: LossFamily, values: Mapping[str, float] | None = None) -> float:
    r"""Return a loss's maximum :math:`\mathcal{L}(e_i, e_j)`, :math:`i \ne j`: at probability 0.

    Example:
        >>> from metaloss.losses import GCE
        >>> from metaloss.theory.of_probability import largest
        >>> largest(GCE(), {"q": 0.5})
        2.0
    """
    return float(at_probability(loss, torch.zeros((), dtype=torch.float64), values))
