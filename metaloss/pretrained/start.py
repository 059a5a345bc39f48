"""To go on learning from a saved adjuster."""

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
    """Give a criterion's adjuster the last snapshot of a saved one, to be learned further.

    Args:
        criterion: whose adjuster is changed; it stays as trainable as it was.
        name: as for :func:`~metaloss.from_pretrained`.
        components: classes of your own that its card names.

    Where it was saved at less than full strength, a criterion whose loss has the ranges that it
    was learned with goes on from all that was learned.

    Raises:
        InputError: there is none of this name, or it is of another loss, reads other features or
            is built otherwise.

    Example:
        >>> from metaloss import Adjuster, AdjustedLoss
        >>> from metaloss.conditioners import Margin
        >>> from metaloss.losses import GCE
        >>> from metaloss.pretrained import start_from
        >>> criterion = AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin()))
        >>> start_from(criterion, "gce-fashion-mnist-margin")
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
        expected, got = _said(ours), _said(theirs)
        require(
            expected == got,
            f"{name}: expected an adjuster to go on from whose {part} is {expected}, got {got}",
        )
    criterion.adjuster.load_state_dict(last.state_dict())


def _said(component: Component | None) -> str:
    if component is None:
        return "none"
    leave_out = component.unsaved if isinstance(component, BaseAdjuster) else ()
    return str(describe(component, leave_out))


def _at_full_strength(saved: LossFamily, full: LossFamily) -> LossFamily:
    """``full`` if ``saved`` is that with its ranges nearer to the defaults, else ``saved``."""
    widths = [sum(h.high - h.low for h in loss.hyperparameters) for loss in (saved, full)]
    if _in_any_range(saved) != _in_any_range(full) or not 0 < widths[0] < widths[1]:
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


def _in_any_range(loss: LossFamily) -> LossFamily:
    return loss.loss if isinstance(loss, Ranged) else loss
