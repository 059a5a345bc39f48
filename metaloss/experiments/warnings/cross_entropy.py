"""Says where cross entropy does better, which has nothing to tune."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

NAME = "CE"
"""The name of the row of cross entropy in shipped experiments, and of the baseline of fit."""

ONE_SEED = 1.0
"""The points of accuracy by which a method may be below it where the spread is not known."""


def below(plain: Sequence[float], scores: Sequence[float]) -> str | None:
    """Say by how much a method is below cross entropy, if by more than seeds differ.

    Args:
        plain: the accuracy of cross entropy with each seed, in percent.
        scores: that of the method.

    Example:
        >>> from metaloss.experiments.warnings.cross_entropy import below
        >>> below([80.0, 80.2], [79.0, 79.2]).partition(". ")[0]
        '1.0 points below cross entropy'
        >>> below([80.0, 80.2], [79.9, 80.3]) is None
        True
    """
    less = statistics.fmean(plain) - statistics.fmean(scores)
    spread = max(statistics.stdev(each) if len(each) > 1 else ONE_SEED for each in (plain, scores))
    if less <= spread:
        return None
    return (
        f"{less:.1f} points below cross entropy. Cross entropy is enough where few labels are "
        "wrong, or where training is too short for the network to learn wrong labels by heart. "
        "Train longer, or take cross entropy."
    )


def below_in(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a sentence for each method of an experiment that is below cross entropy.

    Args:
        rows: the rows of ``results.json``.
    """
    plain = next((row["values"] for row in rows if row["method"] == NAME), None)
    if plain is None or rows[0]["metric"] != "accuracy":
        return
    for row in rows:
        said = below(plain, row["values"])
        if said is not None:
            yield f"{row['method']}: {said}"
