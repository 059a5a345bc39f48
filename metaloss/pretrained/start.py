"""To go on learning from a saved adjuster."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from metaloss.adjusters import ScheduledAdjuster
from metaloss.checks import require
from metaloss.objective import AdjustedLoss
from metaloss.pretrained.by_name import from_pretrained
from metaloss.pretrained.spec import Component, describe


def start_from(criterion: AdjustedLoss, name: str | Path, components: Iterable[type] = ()) -> None:
    """Give a criterion's adjuster the last snapshot of a saved one, to be learned further.

    Args:
        criterion: whose adjuster is changed; it stays as trainable as it was.
        name: as for :func:`~metaloss.from_pretrained`.
        components: classes of your own that its card names.

    Raises:
        InputError: there is none of this name, or it is of another loss, reads other features or
            is built otherwise.

    Example:
        >>> from metaloss import Adjuster, AdjustedLoss
        >>> from metaloss.conditioners import Margin
        >>> from metaloss.losses import GCE
        >>> from metaloss.pretrained import start_from
        >>> criterion = AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin()))
        >>> start_from(criterion, "gce-digits-margin")
    """
    saved = from_pretrained(name, components)
    last = saved.adjuster
    if isinstance(last, ScheduledAdjuster):
        last = last.adjusters[-1]  # type: ignore[assignment]
    pairs = {
        "loss": (criterion.loss, saved.loss),
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
    return "none" if component is None else str(describe(component, ("hyperparameters",)))
