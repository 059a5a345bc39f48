"""The figures that a table shows: the mean of the last epochs over several seeds."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from metaloss.checks import require


def last_epochs_mean(records: Sequence[Mapping[str, Any]], key: str, last: int = 5) -> float:
    """The mean of a figure over the last epochs (never the best one).

    Args:
        records: one an epoch.
        key: which figure.
        last: how many epochs; all of them if there are fewer.

    Example:
        >>> from metaloss.training.results import last_epochs_mean
        >>> last_epochs_mean([{"a": 1.0}, {"a": 2.0}, {"a": 3.0}], "a", last=2)
        2.5
    """
    require(len(records) > 0, "records: expected one epoch or more, got none")
    return statistics.fmean(record[key] for record in records[-last:])


def row(method: str, runs: Sequence[Mapping[str, Any]], figure: str = "accuracy") -> dict[str, Any]:
    """A method's row of the table.

    Args:
        method: its name.
        runs: for each seed a mapping with ``seed`` and the figure.
        figure: what the table shows; see :class:`metaloss.kinds.Figure`.

    Returns:
        The mean and the sample standard deviation over seeds (``None`` for one), and the seeds;
        ``test_unchecked`` where a run's figure is by targets that nobody checked.

    Example:
        >>> from metaloss.training.results import row
        >>> found = row("CE", [{"seed": 0, "accuracy": 70.0}, {"seed": 1, "accuracy": 72.0}])
        >>> found["accuracy_mean"], found["seeds"]
        (71.0, [0, 1])
    """
    values = [run[figure] for run in runs]
    unchecked = any(run.get("test_unchecked") for run in runs)
    return {
        "method": method,
        "figure": figure,
        f"{figure}_mean": statistics.fmean(values),
        f"{figure}_std": statistics.stdev(values) if len(values) > 1 else None,
        "seeds": [run["seed"] for run in runs],
        **({"test_unchecked": True} if unchecked else {}),
    }
