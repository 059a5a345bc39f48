"""Make the runs of a grid that are not finished, and gather the table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from metaloss.checks import InputError, require
from metaloss.experiments import RunFolder
from metaloss.experiments.records.names import slug
from metaloss.experiments.records.run_records import RunRecords
from metaloss.experiments.tables.score_table import Published, ScoreTable, titled
from metaloss.files import check_place, make_folder, read_text, user_path, write_atomically
from metaloss.kinds import METRICS
from metaloss.sweeps.grid import Grid, GridCell
from metaloss.sweeps.jobs import RESULTS, Job, jobs_of
from metaloss.user_errors import one_line

GRID_FILE = "grid.txt"
# What `metaloss train` writes, part of which the table of a grid would replace.
_OF_OTHERS = ("config.gin", RESULTS)


class Outcome(NamedTuple):
    """What became of a job.

    Attributes:
        job: the job.
        error: what went wrong, in one line; empty if the run is finished.
        details: the error's traceback.
        in_use: whether the error is that another process is making the run.
    """

    job: Job
    error: str = ""
    details: str = ""
    in_use: bool = False


class Gathered(NamedTuple):
    """What a sweep's folder has of the runs of its grid.

    Attributes:
        table: the scores of the finished runs; ``None`` if no run is finished.
        left_out: the finished runs of other settings, which the table does not have, by name.
    """

    table: ScoreTable | None
    left_out: list[str]


def write_traceback(folder: Path, outcome: Outcome) -> None:
    """Write the traceback of a job to ``errors/`` in a folder, or remove that of an earlier try."""
    path = folder / "errors" / f"{slug(outcome.job.name)}.txt"
    if outcome.error:
        make_folder(path.parent)
        write_atomically(path, outcome.details.encode())
    else:
        path.unlink(missing_ok=True)


Executor: TypeAlias = Callable[[Sequence[Job]], Iterable[Outcome]]
"""Runs jobs, here or elsewhere, and yields the outcome of each as soon as it is known."""


class Sweep:
    """The runs of a grid in a folder.

    Args:
        grid: the grid.
        out: the folder, new or that of an earlier sweep, whose finished runs are kept.
        bindings: bindings for every run, read last.
        only: the runs to make; see :meth:`Grid.cells`. By default all. The table has every
            finished run of the grid.
        places: the texts that words in braces in the grid's bindings stand for.

    Raises:
        InputError: the configuration of a run to make is invalid.
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
        chosen = grid.cells(only)
        require(len(chosen) > 0, "only: expected runs of the grid, got none")
        self._bindings = list(bindings)
        self._places = [str(self.out.resolve()), *(places or {}).values()]
        self._jobs = partial(jobs_of, grid, out=self.out, bindings=bindings, places=places)
        self.runs = list(zip(chosen, self._jobs(chosen), strict=True))

    @property
    def unfinished(self) -> list[tuple[GridCell, Job]]:
        """The chosen runs that have no result yet."""
        return [(cell, job) for cell, job in self.runs if job.result() is None]

    def run(self, executor: Executor) -> list[Outcome]:
        """Make the runs that are not finished.

        A run that fails does not stop the others. Its traceback is written to ``errors/`` in the
        sweep's folder.

        Args:
            executor: runs the jobs.

        Returns:
            The outcomes of the runs that failed.

        Raises:
            InputError: the folder is that of a grid with another experiment or other axes, or has
                the results of another command.
        """
        self._claim()
        failed = []
        for outcome in executor([job for _, job in self.unfinished]):
            write_traceback(self.out, outcome)
            if outcome.error:
                failed.append(outcome)
        return failed

    def _claim(self) -> None:
        """Write which grid the folder is of, or check that it is of this one.

        Values and seeds may be added to a grid; another grid would write its table over this one's.
        """
        path, axes = self.out / GRID_FILE, ", ".join(self.grid.axes)
        own = f"{Path(self.grid.experiment).name} with the axes {axes}\n"
        if not path.exists():
            make_folder(self.out)
            ours = {"errors", *(Path(cell.folder).parts[0] for cell, _ in self.runs)}
            strange = sorted(
                entry.name
                for entry in self.out.iterdir()
                if entry.name in _OF_OTHERS or (entry.is_dir() and entry.name not in ours)
            )
            require(
                not strange,
                f"{self.out}: expected a new folder or that of a grid, found {', '.join(strange)} "
                "of another command",
            )
            write_atomically(path, own.encode())
            return
        found = read_text(path)
        require(
            found == own,
            f"{self.out}: expected the folder of a grid of {own.strip()}, found one of "
            f"{one_line(found)}; give each grid a folder of its own",
        )

    def records(self) -> dict[tuple[str, str, int], RunRecords]:
        """Return the records of the chosen runs that are finished, by row, column and seed."""
        found = {}
        for cell, job in self.runs:
            result = job.result()
            if result is not None:
                folder = RunFolder(job.folder, resume=True)
                place = cell.values[self.grid.rows], self.grid.column(cell), cell.seed
                found[place] = folder.run(result["rows"][0]["method"], cell.seed)
        return found

    def table(
        self, published: Mapping[tuple[str, str], Published] | None = None
    ) -> ScoreTable | None:
        """Return the table that :meth:`gather` makes, or ``None`` if no run is finished."""
        return self.gather(published).table

    def gather(self, published: Mapping[tuple[str, str], Published] | None = None) -> Gathered:
        """Gather the results of all finished runs of the grid, chosen or not.

        A row or a column of which no run is finished is there if one was chosen.

        Args:
            published: published scores, by row and column.

        Raises:
            InputError: the runs have different metrics.
        """
        results, left_out = self._results()
        scores: dict[tuple[str, str], dict[int, float]] = {}
        found: list[Mapping[str, Any]] = []
        lasts, with_results, unranked = set(), set(), set()
        for cell, result in results:
            (row,) = result["rows"]
            found.append(row)
            lasts.add(result["last"])
            with_results.add(cell.values[self.grid.rows])
            if row.get("informed"):
                unranked.add(cell.values[self.grid.rows])
            place = cell.values[self.grid.rows], self.grid.column(cell)
            scores.setdefault(place, {})[cell.seed] = row[f"{row['metric']}_mean"]
        if not found:
            return Gathered(None, left_out)
        metrics = sorted({row["metric"] for row in found})
        if len(metrics) > 1:
            raise InputError(f"table: expected runs with one metric, got {' and '.join(metrics)}")
        shown = {cell.values[self.grid.rows] for cell, _ in self.runs} | with_results
        columns = {self.grid.column(cell) for cell, _ in self.runs} | {task for _, task in scores}
        metric = METRICS[metrics[0]]
        unchecked = any(row.get("test_unchecked") for row in found)
        table = ScoreTable(
            title=self._titled(titled(metric, lasts, unchecked=unchecked)),
            metric=metric,
            methods=[name for name in self.grid.axes[self.grid.rows] if name in shown],
            tasks=[task for task in self.columns if task in columns],
            scores=scores,
            published=published or {},
            unranked=unranked,
        )
        return Gathered(table, left_out)

    def _titled(self, shown: str) -> str:
        """Return what is shown, after the title and the bindings, which may contradict a title."""
        changed = [
            one_line(text)
            for text in self._bindings
            if text.partition("=")[0].strip() != "DATA"  # a folder of this machine
        ]
        said = [text for text in (self.grid.title, *changed) if text]
        return ": ".join([", ".join(said), shown] if said else [shown])

    @property
    def columns(self) -> list[str]:
        """The columns of the grid's table, in order."""
        return list(dict.fromkeys(self.grid.column(cell) for cell in self.grid.cells()))

    def _results(self) -> tuple[list[tuple[GridCell, dict[str, Any]]], list[str]]:
        """Return the results of all finished runs of the grid, and the runs of other settings.

        A run that was not chosen is parsed only if its folder has a result: the hundreds of runs
        of a table of the paper take half a minute.
        """
        chosen = {cell.name: job for cell, job in self.runs}
        results, left_out = [], []
        for cell in self.grid.cells():
            result = None
            if cell.name in chosen:
                result = chosen[cell.name].result()
            elif (self.out / cell.folder / RESULTS).is_file():
                with suppress(InputError):  # then it is of other settings than these
                    (job,) = self._jobs([cell])
                    result = job.result(moved=self._places)
                if result is None:
                    left_out.append(cell.name)
            if result is not None:
                results.append((cell, result))
        return results, left_out
