"""The rows of a table: means over the last epochs and over seeds."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from metaloss.checks import is_number, require


def by_epoch(records: Sequence[Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
    """Return the records of one task by epoch, in ascending order.

    Raises:
        InputError: There is no record, or an epoch has none or two.

    Example:
        >>> from metaloss.experiments.tables.results import by_epoch
        >>> by_epoch([{"epoch": 1}, {"epoch": 3}])
        Traceback (most recent call last):
            ...
        metaloss.checks.InputError: records: expected one for each epoch, got none for epoch 2
    """
    numbers = Counter(record["epoch"] for record in records)
    require(len(numbers) > 0, "records: expected one epoch or more, got none")
    for number in range(1, max(numbers) + 1):
        require(
            numbers[number] == 1,
            f"records: expected one for each epoch, got {numbers[number] or 'none'} for epoch "
            f"{number}",
        )
    found = {record["epoch"]: record for record in records}
    return {number: found[number] for number in sorted(found)}


def last_epochs_mean(records: Sequence[Mapping[str, Any]], key: str, last: int = 5) -> float:
    """Return the mean of a metric over the last epochs, or over all if there are fewer.

    The best epoch is never chosen.

    Raises:
        InputError: An epoch is missing, is there twice, or lacks the metric.

    Example:
        >>> from metaloss.experiments.tables.results import last_epochs_mean
        >>> epochs = [{"epoch": 1, "a": 1.0}, {"epoch": 2, "a": 2.0}, {"epoch": 3, "a": 3.0}]
        >>> last_epochs_mean(epochs, "a", last=2)
        2.5
    """
    values: list[float] = []
    for number, record in list(by_epoch(records).items())[-last:]:
        value: Any = record.get(key)
        require(is_number(value), f"epoch {number}: expected a number for {key}, got {value!r}")
        values.append(value)
    return statistics.fmean(values)


def row(method: str, runs: Sequence[Mapping[str, Any]], metric: str = "accuracy") -> dict[str, Any]:
    """Return a method's row of the table.

    Args:
        method: the method's name.
        runs: the result of each seed: a mapping with ``seed`` and the metric.
        metric: the name of the metric that the table shows; see :class:`metaloss.kinds.Metric`.

    Returns:
        The mean and the sample standard deviation over seeds (``None`` for one seed), the seeds
        and their values; also ``test_unchecked`` if nobody checked the test targets of a run.

    Example:
        >>> from metaloss.experiments.tables.results import row
        >>> found = row("CE", [{"seed": 0, "accuracy": 70.0}, {"seed": 1, "accuracy": 72.0}])
        >>> found["accuracy_mean"], found["seeds"]
        (71.0, [0, 1])
    """
    values = [run[metric] for run in runs]
    unchecked = any(run.get("test_unchecked") for run in runs)
    return {
        "method": method,
        "metric": metric,
        f"{metric}_mean": statistics.fmean(values),
        f"{metric}_std": statistics.stdev(values) if len(values) > 1 else None,
        "seeds": [run["seed"] for run in runs],
        "values": values,
        **({"test_unchecked": True} if unchecked else {}),
    }
