"""The rows of a report: every method of every folder, with its runs on each task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metaloss.checks import require
from metaloss.experiments.tables.score_table import ScoreTable, titled
from metaloss.kinds import METRICS, Metric
from metaloss.report.html import folded
from metaloss.report.sources import Source, Trained, listed, read_source


@dataclass(frozen=True)
class Report:
    """What a page is about.

    Attributes:
        title: the names of the folders.
        metric: the metric of all runs.
        sources: the folders.
        runs: the finished runs by row and task.
        rows: the methods, with the name of their folder where there are several folders.
        tasks: the columns of the table.
        components: classes of the user's own that adjusters were made with.
    """

    title: str
    metric: Metric
    sources: Sequence[Source]
    runs: Mapping[tuple[str, str], Sequence[Trained]]
    rows: Sequence[str]
    tasks: Sequence[str]
    components: Sequence[type] = ()

    @property
    def targets(self) -> str:
        """What the targets are called: labels or, in regression, values."""
        return self.metric.targets

    @property
    def several_tasks(self) -> bool:
        """Whether there is more than one task."""
        return len(self.tasks) > 1

    def on(self, task: str) -> dict[str, Sequence[Trained]]:
        """Return the runs on a task by row, without the rows that have none."""
        return {row: self.runs[row, task] for row in self.rows if (row, task) in self.runs}

    def every_run(self) -> Iterable[tuple[str, Trained]]:
        """Return every finished run with its row."""
        return ((row, run) for (row, _), runs in self.runs.items() for run in runs)

    def table(self) -> ScoreTable:
        """Return the table of results. Oracles, which know the wrong labels, are not ranked."""
        last = {run.result["last"] for _, run in self.every_run() if "last" in run.result}
        unchecked = any(run.result.get("test_unchecked") for _, run in self.every_run())
        return ScoreTable(
            title=titled(self.metric, last, unchecked=unchecked),
            metric=self.metric,
            methods=self.rows,
            tasks=self.tasks,
            scores={key: {run.seed: run.score for run in runs} for key, runs in self.runs.items()},
            unranked={row for row, run in self.every_run() if run.result.get("informed")},
        )


def by_task(report: Report, draw: Callable[[str], str]) -> str:
    """Return what is drawn of each task: folded if there are several, all but the first."""
    parts = []
    for number, task in enumerate(report.tasks):
        body = draw(task)
        if body and report.several_tasks:
            body = folded(task, body, opened=number == 0)
        parts.append(body)
    return "".join(parts)


def gather(folders: Sequence[str | Path], components: Iterable[type] = ()) -> Report:
    """Read the folders of a report.

    Raises:
        InputError: There is none, one is given twice, or their metrics differ; and as for
            :func:`~metaloss.report.sources.read_source`.
    """
    require(len(folders) > 0, "folders: expected one or more, got none")
    sources = [read_source(folder) for folder in folders]
    places = [source.path.resolve() for source in sources]
    require(
        len(set(places)) == len(places),
        f"expected different folders, got {', '.join(str(source.path) for source in sources)}",
    )
    metrics = {source.metric: source.path for source in sources}
    require(len(metrics) == 1, f"expected runs with one metric, got {listed(metrics)}")
    names = shortest_names(places)
    differing = _different_data(sources)
    runs: dict[tuple[str, str], list[Trained]] = {}
    for name, source in zip(names, sources, strict=True):
        for run in source.trained:
            row = run.method if len(sources) == 1 else f"{name}: {run.method}"
            task = f"{run.task} ({name})" if run.task in differing else run.task
            runs.setdefault((row, task), []).append(run)
    return Report(
        title=" and ".join(names),
        metric=METRICS[sources[0].metric],
        sources=sources,
        runs=runs,
        rows=list(dict.fromkeys(row for row, _ in runs)),
        tasks=list(dict.fromkeys(task for _, task in runs)),
        components=tuple(components),
    )


def shortest_names(places: Sequence[Path]) -> list[str]:
    """Return the shortest ends of paths that differ from one another.

    Example:
        >>> from pathlib import Path
        >>> from metaloss.report.rows import shortest_names
        >>> shortest_names([Path("/a/long"), Path("/a/short")])
        ['long', 'short']
        >>> shortest_names([Path("/a/run"), Path("/b/run")])
        ['a/run', 'b/run']
    """
    longest = max(len(place.parts) for place in places)
    for count in range(1, longest + 1):
        names = ["/".join(place.parts[-count:]) for place in places]
        if len(set(names)) == len(names):
            return names
    return [str(place) for place in places]


def _different_data(sources: Sequence[Source]) -> set[str]:
    """Return the tasks whose name stands for different data in different folders.

    Such scores must not stand in one column, where the best would be marked.
    """
    seen: dict[tuple[str, int], dict[str, Any]] = {}
    differing = set()
    for source in sources:
        for run in source.trained:
            own = (run.identity.get("tasks") or {}).get(run.task_name)
            if own is None:
                continue
            samples = own.get("samples") or {}
            data = {"targets": own.get("targets"), "test": samples.get("test")}
            if seen.setdefault((run.task, run.seed), data) != data:
                differing.add(run.task)
    return differing
