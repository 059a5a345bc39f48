"""Make the runs of a grid that are not finished, and gather the table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from metaloss.checks import InputError, require
from metaloss.experiments import RunFolder
from metaloss.experiments.names import slug
from metaloss.experiments.run_records import RunRecords
from metaloss.experiments.score_table import Published, ScoreTable
from metaloss.files import check_place, make_folder, user_path, write_atomically
from metaloss.kinds import METRICS
from metaloss.sweeps.grid import Grid
from metaloss.sweeps.jobs import Job, jobs_of


class Outcome(NamedTuple):
    """What became of a job.

    Attributes:
        job: the job.
        error: what went wrong, in one line; empty if the run is finished.
        details: the error's traceback.
    """

    job: Job
    error: str = ""
    details: str = ""


Executor: TypeAlias = Callable[[Sequence[Job]], Iterable[Outcome]]
"""Runs jobs, here or elsewhere, and yields the outcome of each as soon as it is known."""


class Sweep:
    """The runs of a grid in a folder.

    Args:
        grid: the grid.
        out: the folder, new or that of an earlier sweep, whose finished runs are kept.
        bindings: bindings for every run, read last.
        only: the runs to make; see :meth:`Grid.cells`. By default all.
        places: the texts that words in braces in the grid's bindings stand for.

    Raises:
        InputError: a configuration is invalid.
    """

    def __init__(
        self,
        grid: Grid,
        out: str | Path,
        bindings: Sequence[str] = (),
        only: Mapping[str, Sequence[str]] | None = None,
        places: Mapping[str, str] | None = None,
    ) -> None:
        self.grid = grid
        self.out = user_path(out)
        check_place(self.out)
        cells = grid.cells(only)
        require(len(cells) > 0, "only: expected runs of the grid, got none")
        jobs = jobs_of(grid, cells, self.out, bindings, places)
        self.runs = list(zip(cells, jobs, strict=True))

    @property
    def unfinished(self) -> list[Job]:
        """The jobs that have no result yet."""
        return [job for _, job in self.runs if job.result() is None]

    def run(self, executor: Executor) -> list[Outcome]:
        """Make the runs that are not finished.

        A run that fails does not stop the others. Its traceback is written to ``errors/`` in the
        sweep's folder.

        Args:
            executor: runs the jobs.

        Returns:
            The outcomes of the runs that failed.
        """
        make_folder(self.out)
        failed = []
        for outcome in executor(self.unfinished):
            report = self.out / "errors" / f"{slug(outcome.job.name)}.txt"
            if outcome.error:
                failed.append(outcome)
                make_folder(report.parent)
                write_atomically(report, outcome.details.encode())
            else:
                report.unlink(missing_ok=True)
        return failed

    def records(self) -> dict[tuple[str, str, int], RunRecords]:
        """Return the records of the finished runs, by row, column and seed."""
        found = {}
        for cell, job in self.runs:
            result = job.result()
            if result is not None:
                folder = RunFolder(job.folder, resume=True)
                place = cell.values[self.grid.rows], self.grid.column(cell), cell.seed
                found[place] = folder.run(result["rows"][0]["method"], cell.seed)
        return found

    def table(
        self,
        title: str = "",
        published: Mapping[tuple[str, str], Published] | None = None,
    ) -> ScoreTable | None:
        """Gather the results of the finished runs.

        Args:
            title: what the table shows; by default the grid's title.
            published: published scores, by row and column.

        Returns:
            The table; ``None`` if no run is finished.

        Raises:
            InputError: the runs have different metrics, or a result is damaged.
        """
        scores: dict[tuple[str, str], dict[int, float]] = {}
        columns = dict.fromkeys(self.grid.column(cell) for cell, _ in self.runs)
        metrics: dict[str, None] = {}
        last = 0
        for cell, job in self.runs:
            found = job.result()
            if found is None:
                continue
            (row,) = found["rows"]
            metrics[row["metric"]] = None
            place = cell.values[self.grid.rows], self.grid.column(cell)
            scores.setdefault(place, {})[cell.seed] = row[f"{row['metric']}_mean"]
            last = found["last"]
        if not scores:
            return None
        if len(metrics) > 1:
            raise InputError(f"table: expected runs with one metric, got {' and '.join(metrics)}")
        metric = METRICS[next(iter(metrics))]
        rows = {row for row, _ in scores}
        title = title or self.grid.title
        said = f"{metric.title}, mean of the last {last} epochs"
        return ScoreTable(
            title=f"{title}: {said}" if title else said,
            metric=metric,
            methods=[name for name in self.grid.axes[self.grid.rows] if name in rows],
            tasks=list(columns),
            scores=scores,
            published=published or {},
            unranked=[row for row in rows if not self.grid.ranks(row)],
        )
