"""A warning if noisy meta samples have more noise than a symmetric meta loss tolerates."""

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
