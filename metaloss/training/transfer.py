"""Learned adjusters put to work (Algorithm 2)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from metaloss.checks import require
from metaloss.losses import CrossEntropy
from metaloss.pretrained import from_pretrained
from metaloss.training.methods import Conventional, Method, Transferred


def transferred(adjusters: Sequence[str], compare: bool = False) -> list[Method]:
    """A row for each learned adjuster.

    Args:
        adjusters: names or folders; one or more.
        compare: also give cross entropy, and each loss with its default hyperparameters.

    Raises:
        InputError: an adjuster that cannot be loaded, or none at all.

    Example:
        >>> from metaloss.training.transfer import transferred
        >>> transferred(["no such thing"])
        Traceback (most recent call last):
            ...
        metaloss.checks.InputError: no such thing: expected ...
    """
    require(len(adjusters) > 0, "adjusters: expected one or more, got none")
    require(
        len(set(adjusters)) == len(adjusters),
        f"adjusters: expected different ones, got {', '.join(adjusters)}",
    )
    rows: dict[str, Method] = {}
    if compare:
        rows["CE"] = Conventional(name="CE", loss=CrossEntropy())
        for adjuster in adjusters:
            loss = from_pretrained(adjuster).loss
            name = type(loss).__name__
            rows.setdefault(name, Conventional(name=name, loss=loss))
    for adjuster in adjusters:
        from_pretrained(adjuster)  # what cannot be loaded is told before anything is made
        name = f"T-{_label(adjuster, adjusters)}"
        rows[name] = Transferred(name=name, adjuster=adjuster)
    return list(rows.values())


def _label(adjuster: str, others: Sequence[str]) -> str:
    """A name as it is; of a folder the last parts of its path, so many that tell it apart."""
    if not Path(adjuster).is_dir():
        return adjuster

    def last(folder: str, count: int) -> tuple[str, ...]:
        return tuple(part for part in Path(folder).resolve().parts if part != "adjuster")[-count:]

    count = 2  # RUN/METHOD/seed-0/adjuster is named after its method
    while sum(last(other, count) == last(adjuster, count) for other in others) > 1 and count < 9:
        count += 1
    return "-".join(last(adjuster, count))
