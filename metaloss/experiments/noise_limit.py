"""A warning if noisy meta samples have more noise than a symmetric meta loss tolerates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from metaloss.experiments.methods import Method
from metaloss.types import TaskLike, has_checked_meta


class Lost(NamedTuple):
    """A class that does not keep its own label most often.

    Attributes:
        label: the class.
        other: the label that its samples have at least as often.
        kept: the probability of its own label.
        flipped: the probability of the other one.
    """

    label: int
    other: int
    kept: float
    flipped: float


def lost_classes(transition: Float[Tensor, "classes classes"]) -> list[Lost]:
    r"""Return the classes that break the condition of Theorem 2.

    A symmetric loss tolerates class-dependent noise if each class keeps its own label most often,
    :math:`T_{ii} > T_{ij}` for :math:`j \neq i`. For symmetric noise this is a rate below
    :math:`1 - 1/c` (Theorem 1).

    Args:
        transition: row ``i`` is the distribution of the noisy label of class ``i``.

    Returns:
        Those classes, the worst first.

    Example:
        >>> import torch
        >>> from metaloss.experiments.noise_limit import lost_classes
        >>> lost_classes(torch.tensor([[0.75, 0.25], [0.75, 0.25]]))
        [Lost(label=1, other=0, kept=0.25, flipped=0.75)]

    References:
        Ghosh et al., Robust loss functions under label noise for deep neural networks, 2017.
    """
    own = transition.diagonal()
    among_others = transition.clone().fill_diagonal_(-1.0)
    most, other = among_others.max(dim=1)
    beyond = own - most < 1e-9  # equal is not enough, and 1 - 0.9 and 0.9 / 9 differ by rounding
    worst = (own - most).argsort(stable=True)
    return [
        Lost(int(i), int(other[i]), float(own[i]), float(most[i])) for i in worst if bool(beyond[i])
    ]


def too_noisy(task: TaskLike, methods: Sequence[Method]) -> list[str]:
    """Return a warning if methods learn from noisy labels and the noise is beyond Theorem 2.

    Args:
        task: the data. Its noise is known if it has ``noise.transition``.
        methods: the methods.

    Returns:
        One line or none.
    """
    learning = [method.name for method in methods if method.learns]
    transition = getattr(getattr(task, "noise", None), "transition", None)
    if not learning or has_checked_meta(task) or not isinstance(transition, Tensor):
        return []
    # Meta samples of another origin have no added noise, but labels that nobody checked.
    origin = getattr(getattr(task, "meta_samples", None), "origin", "shared")
    lost = lost_classes(transition) if origin in {"noisy", "shared"} else []
    if not lost:
        return []
    first, names = lost[0], getattr(task, "class_names", None)
    label, other = (repr(names[k]) if names else f"class {k}" for k in (first.label, first.other))
    others = len(lost) - 1
    like = "one more class is" if others == 1 else f"{others} more classes are"
    more = f" (and {like} like it)" if others else ""
    return [
        f"{', '.join(learning)}: expected meta samples whose classes keep their own labels most "
        f"often (Theorem 2), as nobody checked them, but {label} keeps its own with probability "
        f"{first.kept:.3g} and becomes {other} with {first.flipped:.3g}{more}: the adjuster will "
        "learn to trust the wrong label; learn from checked samples (meta_from='train')"
    ]
