"""Continue learning from a saved adjuster."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from metaloss.adjusters import BaseAdjuster, ScheduledAdjuster
from metaloss.checks import require
from metaloss.losses import LossFamily, Ranged, toward_defaults
from metaloss.objective import AdjustedLoss
from metaloss.pretrained.by_name import from_pretrained
from metaloss.pretrained.spec import Component, describe


def start_from(criterion: AdjustedLoss, name: str | Path, components: Iterable[type] = ()) -> None:
    """Copy the last snapshot of a saved adjuster into a criterion's adjuster.

    An adjuster saved with a strength below 1 can also be copied into a criterion whose loss has the
    original ranges.

    Args:
        criterion: the criterion whose adjuster is changed. Its parameters stay trainable.
        name: see :func:`~metaloss.from_pretrained`.
        components: your own classes that its card names.

    Raises:
        InputError: there is no such adjuster, or its loss, conditioner or architecture differs from
            the criterion's.

    Example:
        >>> from metaloss import Adjuster, AdjustedLoss
        >>> from metaloss.conditioners import MarginStatistics
        >>> from metaloss.losses import GCE
        >>> from metaloss.pretrained import start_from
        >>> loss, conditioner = GCE(), MarginStatistics()
        >>> criterion = AdjustedLoss(loss, conditioner, Adjuster.for_loss(loss, conditioner))
        >>> start_from(criterion, "gce")
    """
    saved = from_pretrained(name, components=components)
    last = saved.adjuster
    if isinstance(last, ScheduledAdjuster):
        last = last.adjusters[-1]  # type: ignore[assignment]
    pairs = {
        "loss": (criterion.loss, _at_full_strength(saved.loss, criterion.loss)),
        "conditioner": (criterion.conditioner, saved.conditioner),
        "adjuster": (criterion.adjuster, last),
    }
    for part, (ours, theirs) in pairs.items():
        expected, got = _described(ours), _described(theirs)
        require(
            expected == got,
            f"{name}: expected an adjuster to go on from whose {part} is {expected}, got {got}",
        )
    criterion.adjuster.load_state_dict(last.state_dict())


def _described(component: Component | None) -> str:
    if component is None:
        return "none"
    leave_out = component.unsaved if isinstance(component, BaseAdjuster) else ()
    return str(describe(component, leave_out))


def _at_full_strength(saved: LossFamily, full: LossFamily) -> LossFamily:
    """Return ``full`` if ``saved`` is ``full`` at a lower strength, else ``saved``."""
    widths = [sum(h.high - h.low for h in loss.hyperparameters) for loss in (saved, full)]
    if _without_ranges(saved) != _without_ranges(full) or not 0 < widths[0] < widths[1]:
        return saved
    nearer = toward_defaults(full, widths[0] / widths[1])
    pairs = zip(saved.hyperparameters, nearer.hyperparameters, strict=True)
    same = all(
        (a.name, a.default) == (b.name, b.default)
        and math.isclose(a.low, b.low, abs_tol=1e-9)
        and math.isclose(a.high, b.high, abs_tol=1e-9)
        for a, b in pairs
    )
    return full if same else saved


def _without_ranges(loss: LossFamily) -> LossFamily:
    return loss.loss if isinstance(loss, Ranged) else loss
