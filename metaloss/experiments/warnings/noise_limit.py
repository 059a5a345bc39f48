"""Warnings of labels with more noise than a symmetric meta loss tolerates."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from metaloss.experiments.methods import Method
from metaloss.theory import lost_classes
from metaloss.types import TaskLike, has_checked_meta


def too_noisy(task: TaskLike, methods: Sequence[Method]) -> list[str]:
    """Return a warning if methods learn from noisy labels and the noise is beyond Theorem 2.

    The noise of a task is known if it has ``noise.transition``.

    Returns:
        One line or none.
    """
    learning = [method.name for method in methods if method.learns]
    transition = getattr(getattr(task, "noise", None), "transition", None)
    if not learning or has_checked_meta(task) or not isinstance(transition, Tensor):
        return []
    # Meta samples of another origin have no added noise, but labels that nobody checked.
    origin = getattr(getattr(task, "meta_samples", None), "origin", "shared")
    lost = lost_labels(transition, getattr(task, "class_names", None))
    if not lost or origin not in {"noisy", "shared"}:
        return []
    return [
        f"{', '.join(learning)}: expected meta samples whose classes keep their own labels most "
        f"often (Theorem 2), as nobody checked them, but {lost}: the adjuster will "
        "learn to trust the wrong label; learn from checked samples (meta_from='train')"
    ]


def lost_labels(transition: Tensor, names: Sequence[str] | None) -> str:
    """Say which classes are labelled as another one more often than as themselves.

    Args:
        transition: the probability of each label, a row for each true class.
        names: the names of the classes; ``None`` for their numbers.

    Returns:
        The worst class with its probabilities and the number of the others; empty if there is none.

    Example:
        >>> import torch
        >>> from metaloss.experiments.warnings.noise_limit import lost_labels
        >>> lost_labels(torch.tensor([[0.25, 0.75], [0.0, 1.0]]), ("cat", "dog"))
        "a true 'cat' is labelled so with probability 0.25 and as 'dog' with 0.75"
    """
    lost = lost_classes(transition)
    if not lost:
        return ""
    first, others = lost[0], len(lost) - 1
    label, other = (repr(names[k]) if names else f"class {k}" for k in (first.label, first.other))
    like = "one more class is" if others == 1 else f"{others} more classes are"
    more = f" (and {like} like it)" if others else ""
    return (
        f"a true {label} is labelled so with probability {first.kept:.3g} and as {other} with "
        f"{first.flipped:.3g}{more}"
    )
