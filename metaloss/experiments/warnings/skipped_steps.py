"""A warning of steps that were skipped, because something was not finite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# By the name in an epoch's record: what the step is, and what was not finite.
KINDS = {
    "skipped_steps": ("step", "the loss or a gradient"),
    "meta_steps_skipped": ("meta step", "the hypergradient"),
}


def skipped_steps(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Say how many steps were skipped in these epochs.

    Args:
        records: records of epochs in order, as :func:`~metaloss.training.train` returns them.

    Returns:
        A line for the network's steps and one for the adjuster's, each only if there are any.

    Example:
        >>> from metaloss.experiments.warnings.skipped_steps import skipped_steps
        >>> skipped = {"number": 2, "step": 7, "tensor": "net.0.weight"}
        >>> for line in skipped_steps([{"epoch": 3, "skipped_steps": skipped}]):
        ...     print(line[:63])
        2 steps were skipped, because the loss or a gradient was not fi
    """
    records = list(records)
    lines = []
    for key, (kind, what) in KINDS.items():
        found = [record[key] for record in records if record.get(key)]
        if found:
            number = sum(each["number"] for each in found)
            many = f"{number} {kind} was" if number == 1 else f"{number} {kind}s were"
            first = f"the first was {kind} {found[0]['step']}, by {found[0]['tensor']}"
            lines.append(f"{many} skipped, because {what} was not finite; {first}")
    return lines
