"""The table of methods on tasks, with the score of every seed."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from metaloss.kinds import METRICS, Metric


class Published(NamedTuple):
    """A published score.

    Attributes:
        mean: the mean.
        std: the standard deviation; ``None`` if none was published.
    """

    mean: float
    std: float | None = None


class Cell(NamedTuple):
    """A method on a task.

    Attributes:
        scores: the score of each seed, by seed.
        mean: their mean.
        std: their sample standard deviation; ``None`` for one seed.
        mark: ``"best"`` for the best mean of the task; ``"tied"`` if the mean differs from the best
            by no more than the larger standard deviation of the two; else empty. A mean over fewer
            seeds than others of the task have is not compared.
        published: the published score, if there is one.
    """

    scores: Mapping[int, float]
    mean: float
    std: float | None
    mark: str
    published: Published | None

    @property
    def difference(self) -> float | None:
        """The mean minus the published mean."""
        return None if self.published is None else self.mean - self.published.mean


@dataclass(frozen=True, kw_only=True)
class ScoreTable:
    """The scores of methods on tasks.

    Args:
        title: what the table shows.
        metric: the metric of the scores.
        methods: the rows, in order.
        tasks: the columns, in order.
        scores: the scores of each seed, by method and task. A method may be without scores on a
            task.
        published: published scores, by method and task.
        unranked: methods that are not compared for the best, such as oracles.

    Example:
        >>> from metaloss.experiments.tables.score_table import ScoreTable
        >>> from metaloss.kinds import CLASSIFICATION
        >>> scores = {("CE", "digits"): {0: 70.0, 1: 72.0}, ("GCE", "digits"): {0: 90.0, 1: 91.0}}
        >>> table = ScoreTable(
        ...     title="Accuracy",
        ...     metric=CLASSIFICATION.metric,
        ...     methods=["CE", "GCE"],
        ...     tasks=["digits"],
        ...     scores=scores,
        ... )
        >>> table.cell("GCE", "digits").mark, table.cell("CE", "digits").mean
        ('best', 71.0)
    """

    title: str
    metric: Metric
    methods: Sequence[str]
    tasks: Sequence[str]
    scores: Mapping[tuple[str, str], Mapping[int, float]]
    published: Mapping[tuple[str, str], Published] = field(default_factory=dict)
    unranked: Collection[str] = ()

    def cell(self, method: str, task: str) -> Cell | None:
        """Return a method's scores on a task, or ``None`` if there are none."""
        scores = self.scores.get((method, task))
        if not scores:
            return None
        mean, std = statistics.fmean(scores.values()), _std(scores)
        published = self.published.get((method, task))
        mark = self._mark(mean, std, task) if method in self._ranked(task) else ""
        return Cell(scores, mean, std, mark, published)

    @property
    def seeds(self) -> list[int]:
        """Every seed that some score has, ascending."""
        return sorted({seed for scores in self.scores.values() for seed in scores})

    def _ranked(self, task: str) -> list[str]:
        """Return the methods that are compared on a task."""
        counts = {
            method: len(self.scores.get((method, task), ()))
            for method in self.methods
            if method not in self.unranked
        }
        most = max(counts.values(), default=0)
        return [method for method, count in counts.items() if count == most > 0]

    def _mark(self, mean: float, std: float | None, task: str) -> str:
        means = {
            method: statistics.fmean(self.scores[method, task].values())
            for method in self._ranked(task)
        }
        best = self.metric.best(list(means.values()))
        if mean == best:
            return "best"
        spreads = [_std(self.scores[method, task]) for method in means if means[method] == best]
        spread = max(each or 0.0 for each in (std, *spreads))
        return "tied" if abs(best - mean) <= spread else ""


def _std(scores: Mapping[int, float]) -> float | None:
    return statistics.stdev(scores.values()) if len(scores) > 1 else None


def table_of_rows(rows: Sequence[Mapping[str, Any]], last: int) -> ScoreTable:
    """Return the table of the rows of ``results.json``, of an experiment or of a comparison.

    Example:
        >>> from metaloss.experiments.tables.results import row
        >>> from metaloss.experiments.tables.score_table import table_of_rows
        >>> rows = [row("CE", [{"seed": 0, "accuracy": 70.0}, {"seed": 1, "accuracy": 72.0}])]
        >>> table = table_of_rows([{**rows[0], "task": "digits"}], last=5)
        >>> table.title, table.tasks
        ('Test accuracy (%), mean of the last 5 epochs', ['digits'])
    """
    metric = METRICS[rows[0]["metric"]]
    by_task = {each["method"]: each.get("tasks") or {each["task"]: each} for each in rows}
    scores = {
        (method, name): dict(zip(own["seeds"], own["values"], strict=True))
        for method, tasks in by_task.items()
        for name, own in tasks.items()
    }
    return ScoreTable(
        title=titled(metric, [last], unchecked=any(each.get("test_unchecked") for each in rows)),
        metric=metric,
        methods=list(by_task),
        tasks=list(next(iter(by_task.values()))),
        scores=scores,
        unranked=[each["method"] for each in rows if each.get("informed")],
    )


def titled(metric: Metric, lasts: Collection[int], *, unchecked: bool = False) -> str:
    """Return the title of a table of scores.

    Args:
        metric: the metric of the scores.
        lasts: over how many of the last epochs they are means.
        unchecked: whether some are by targets that nobody checked.
    """
    by = f" by unchecked {metric.targets}" if unchecked else ""
    return f"{metric.title}{by}, {of_last(lasts)}"


def of_last(numbers: Collection[int]) -> str:
    """Return which epochs of runs their scores are of, in words."""
    if len(set(numbers)) != 1:
        return "last epochs"
    (epochs,) = set(numbers)
    return "last epoch" if epochs == 1 else f"mean of the last {epochs} epochs"
