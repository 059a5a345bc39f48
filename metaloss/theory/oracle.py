"""Theorems 3 and 4: bounds for losses whose hyperparameters an oracle chooses.

The oracle knows which labels are wrong. Right labels get hyperparameters near cross entropy, wrong
ones get robust hyperparameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jaxtyping import Float
from torch import Tensor

from metaloss.checks import InputError, check_at_least, is_number, require
from metaloss.losses import GCE, JS, LossFamily, PolySoft
from metaloss.theory.class_sums import extremes
from metaloss.theory.of_probability import filled, is_unbounded, largest, of_paper, titled
from metaloss.theory.shared import RiskBounds
from metaloss.theory.transitions import check_transition, mean_kept

# By family: the values of right and of wrong labels that the theorems assume.
_ASSUMED: dict[str, tuple[dict[str, float], dict[str, float]]] = {
    "GCE": ({"q": 0.0}, {"q": 1.0}),
    "JS": ({"pi_1": 0.0}, {"pi_1": 1.0}),
    "PolySoft": ({"lam": 10.0}, {"lam": 0.0}),
}


def oracle_values(
    loss: LossFamily,
    clean: Mapping[str, float] | None = None,
    noisy: Mapping[str, float] | None = None,
) -> tuple[dict[str, float], dict[str, float]]:
    r"""Return the hyperparameters of right and of wrong labels.

    Without values of your own they are those that Theorems 3 and 4 assume: :math:`q = 0` and 1 for
    GCE, :math:`\pi_1 = 0` and 1 for JS, which are the limits, and for PolySoft :math:`\lambda =
    10` and 0. An :class:`~metaloss.adjusters.OracleAdjuster` uses 0.001 and 0.999 for JS.

    Args:
        loss: GCE, JS or PolySoft.
        clean: values of right labels, by name, in place of those.
        noisy: values of wrong labels, likewise.

    Raises:
        InputError: another family, an unknown name, or a value out of range.

    Example:
        >>> from metaloss.losses import PolySoft
        >>> from metaloss.theory import oracle_values
        >>> oracle_values(PolySoft(), noisy={"lam": 1.0})
        ({'lam': 10.0, 'd': 2.0}, {'lam': 1.0, 'd': 2.0})
    """
    if loss.family not in _ASSUMED:
        raise InputError(f"loss: expected GCE, JS or PolySoft (Theorem 3), got {loss.family}")
    right, wrong = _ASSUMED[loss.family]
    found = filled(loss, right | dict(clean or {})), filled(loss, wrong | dict(noisy or {}))
    for values in found:
        of_paper(loss, values)  # refuses what is out of range
    return found


def oracle_coefficient(
    loss: LossFamily, num_classes: int, noisy: Mapping[str, float] | None = None
) -> float:
    r"""Return the coefficient of :math:`\eta / (c - 1)` in Theorem 3, the line at 1 of Fig. 3.

    .. math:: \max_f \sum_{i \ne y} \mathcal{L}_{noisy}(f, i) -
              \min_f \sum_{i \ne y} \mathcal{L}_{noisy}(f, i)

    It is 1 for the limits of GCE and JS, and 0 for PolySoft with :math:`\lambda = 0`. At finite
    hyperparameters it is larger: :math:`(c - 1)^{1 - q} / q` for GCE.

    Args:
        loss: GCE, JS or PolySoft.
        num_classes: :math:`c`, at least 2.
        noisy: hyperparameters of wrong labels by name; the theorem's limits if not given.

    Raises:
        InputError: another family, an unknown name, or an argument out of range.

    Example:
        >>> from metaloss.losses import GCE, JS
        >>> from metaloss.theory import oracle_coefficient
        >>> oracle_coefficient(GCE(), 10), round(oracle_coefficient(JS(), 10, {"pi_1": 0.999}), 4)
        (1.0, 1.4627)
    """
    c = check_at_least("num_classes", num_classes, 2)
    _, noisy = oracle_values(loss, noisy=noisy)
    _refuse_unbounded(loss, noisy)
    return (c - 1) * largest(loss, noisy) - extremes(loss, c - 1, noisy).low


def theorem_3(
    loss: LossFamily,
    num_classes: int,
    rate: float,
    *,
    noisy: Mapping[str, float] | None = None,
) -> RiskBounds:
    r"""Return the bounds of Theorem 3, for symmetric noise and an oracle's hyperparameters.

    .. math:: 0 \le R^\eta(f^*) - R^\eta(\hat f) \le \frac{\eta}{c - 1}, \qquad
              0 \ge R(f^*) - R(\hat f) \ge -\frac{\eta}{(c - 1)(1 - \eta)}

    for GCE and JS, and 0 for PolySoft. :math:`R` is the risk with the hyperparameters of right
    labels; the bounds do not depend on them. The differences to the print are:

    - The second inequality is printed with its signs reversed; the proof has them right.
    - PolySoft: the printed assumption, :math:`\lambda < \mathcal{L}_{CE}` for every wrong label
      and every :math:`f`, holds for :math:`\lambda = 0` alone, and any fixed :math:`\lambda > 0`
      is not noise-tolerant. Its bound is that of other finite hyperparameters.
    - Finite hyperparameters: ``noisy`` other than the limits multiplies both bounds by
      :func:`oracle_coefficient`.
    - The printed condition :math:`\eta \le 1 - 1/c` is not needed.

    Args:
        loss: GCE, JS or PolySoft.
        num_classes: :math:`c`, at least 2.
        rate: :math:`\eta`, in [0, 1).
        noisy: hyperparameters of wrong labels by name; the theorem's limits if not given.

    Raises:
        InputError: another family, an unknown name, or an argument out of range.

    Example:
        >>> from metaloss.losses import GCE, PolySoft
        >>> from metaloss.theory import theorem_3
        >>> [round(bound, 4) for bound in theorem_3(GCE(), 10, 0.4)]
        [0.0444, -0.0741]
        >>> theorem_3(PolySoft(), 10, 0.4)
        RiskBounds(noisy=0.0, clean=0.0)
    """
    c = check_at_least("num_classes", num_classes, 2)
    require(
        is_number(rate) and 0 <= rate < 1,
        f"rate: expected a number in [0, 1) (Theorem 3), got {rate!r}",
    )
    bound = rate / (c - 1) * oracle_coefficient(loss, c, noisy)
    return RiskBounds(bound, 0.0 - bound / (1 - rate))


def theorem_4(
    loss: LossFamily,
    transition: Float[Tensor, "classes classes"],
    *,
    clean: Mapping[str, float] | None = None,
    noisy: Mapping[str, float] | None = None,
    class_probs: Sequence[float] | None = None,
) -> float:
    r"""Return the bound of Theorem 4, for class-dependent noise and an oracle's hyperparameters.

    Each input has one class, so :math:`R(f^*) = 0`. The theorem says that GCE, JS and PolySoft are
    then noise-tolerant, so the bound of :math:`R^\eta(f^*) - R^\eta(\hat f)` is 0. This is the
    limit of what holds for all hyperparameters of wrong labels, with :math:`\kappa = 1` for GCE
    and JS and :math:`\kappa = (d - 1) / d` for PolySoft:

    .. math:: 0 \le R^\eta(f^*) - R^\eta(\hat f) \le
              \mathbb{E}(\eta_{\mathbf{x}}) \max(0, \mathcal{L}_{noisy}(\mathbf{e}_i, \mathbf{e}_j)
              - \kappa), \quad i \ne j

    So the printed assumption on PolySoft, which cannot hold for every :math:`f`, is not needed:
    :math:`\lambda \le 1` of wrong labels is enough. GCE with :math:`q < 1` and JS with
    :math:`\pi_1 < 1` are not noise-tolerant, however near they are.

    It follows from :math:`\mathcal{L}_{clean} \ge \kappa (1 - f_y)` and
    :math:`\mathcal{L}_{noisy}(f, i) \ge \mathcal{L}_{noisy}(\mathbf{e}_i, \mathbf{e}_j) - \kappa
    f_i - \max(0, \cdot)`, as :math:`\sum_{i \ne y} \eta_{yi} f_i \le (1 - \eta_y) (1 - f_y)`.

    Args:
        loss: GCE, JS or PolySoft.
        transition: row ``i`` is the distribution of the noisy label of class ``i``; each class
            keeps its own label most often.
        clean: hyperparameters of right labels by name; the theorem's if not given. PolySoft needs
            :math:`\lambda \ge 1` here, and the same :math:`d` for all labels.
        noisy: hyperparameters of wrong labels by name; the theorem's limits if not given.
        class_probs: the probability of each class; equal ones if not given.

    Raises:
        InputError: another family, an unknown name, an argument out of range, a class that does not
            keep its own label most often, or probabilities that are not.

    Example:
        >>> import torch
        >>> from metaloss.losses import JS
        >>> from metaloss.theory import theorem_4
        >>> flips = torch.tensor([[0.6, 0.4], [0.2, 0.8]])
        >>> theorem_4(JS(), flips), round(theorem_4(JS(), flips, noisy={"pi_1": 0.999}), 4)
        (0.0, 0.0434)
    """
    check_transition(transition)
    kept = mean_kept(transition, class_probs)
    clean, noisy = oracle_values(loss, clean, noisy)
    _refuse_unbounded(loss, noisy)
    kappa = 1.0
    if isinstance(of_paper(loss, noisy)[0], PolySoft):
        require(
            clean["lam"] >= 1,
            f"lam of right labels: expected at least 1 (Theorem 4), got {clean['lam']!r}",
        )
        require(
            clean["d"] == noisy["d"],
            f"d: expected one value for all labels (Theorem 4), got {clean['d']!r} and "
            f"{noisy['d']!r}",
        )
        kappa = (clean["d"] - 1) / clean["d"]
    return (1 - kept) * max(0.0, largest(loss, noisy) - kappa)


def _refuse_unbounded(loss: LossFamily, noisy: Mapping[str, float]) -> None:
    family, given = of_paper(loss, noisy)
    require(
        not (isinstance(family, GCE | JS) and is_unbounded(family, given)),
        "noisy: expected hyperparameters with which the loss is bounded (Definition 3), got "
        f"{titled(loss, noisy)}",
    )
