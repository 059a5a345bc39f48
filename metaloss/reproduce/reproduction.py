"""Run the grids of a target, and set the results beside the paper's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from metaloss.checks import InputError, check_one_of, require
from metaloss.config import configuration
from metaloss.console import say
from metaloss.diagnostics.figures import draw_figure3
from metaloss.files import make_folder, user_path
from metaloss.reproduce.adjusters import adjusters_folder, learn
from metaloss.reproduce.figures import (
    ORACLE_NOISES,
    ORACLES,
    RUN_FIGURES,
    SYMMETRIC,
    draw_oracles,
)
from metaloss.reproduce.place import check_out
from metaloss.reproduce.published_table import TABLES, PublishedTable
from metaloss.reproduce.targets import ALL, SCALES, TARGETS, WITHOUT_RUNS, grids
from metaloss.reproduce.theorems import reproduce_theorems
from metaloss.sweeps import OnRay, Sweep
from metaloss.sweeps.carry_out import carry_out, make_runs, report
from metaloss.sweeps.grid import check_patterns, matches
from metaloss.sweeps.jobs import Job
from metaloss.sweeps.sweep import Outcome, write_traceback

CIFAR10 = "CIFAR-10"
DATA = "data"  # the axis of the data sets of a table, each of which has a grid of its own
UNPUBLISHED = ("smoke",)
"""The scales whose scores nothing printed is set beside: digits are no reproduction."""


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """Where and how targets are reproduced.

    Attributes:
        scale: ``"smoke"``, ``"laptop"`` or ``"paper"``.
        out: the folder, with a folder for each grid.
        data: the folder that holds the data sets; ``None`` if there is none.
        bindings: bindings for every run.
        only: the runs to make, as for :meth:`metaloss.sweeps.Grid.cells`; ``data`` has patterns for
            the data sets of a table.
        ray: the cluster that makes the runs; by default, this process does.
    """

    scale: str
    out: Path
    data: Path | None = None
    bindings: Sequence[str] = ()
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ray: OnRay | None = None

    def __post_init__(self) -> None:
        """Check the scale."""
        check_one_of("scale", self.scale, SCALES)

    def run(self, target: str) -> bool:
        """Reproduce a target, or all of them; return whether nothing failed.

        Raises:
            InputError: an unknown target, data is needed and not given, the settings are invalid,
                or they are for runs and the target has none.
        """
        check_one_of("target", target, (*TARGETS, ALL))
        if target == ALL:
            check_out(user_path(self.out))
            return self._every()
        given = {"--only": self.only, "--gin_param": self.bindings, "--ray": self.ray}
        for_runs = [option for option, value in given.items() if value]
        require(
            target not in WITHOUT_RUNS or not for_runs,
            f"{target}: expected no {' or '.join(for_runs)}, since it is made without runs",
        )
        check_out(user_path(self.out))
        return self._make(target)

    def _make(self, target: str) -> bool:
        if target in TABLES:
            return self.table(target)
        if target == "theorems":
            return reproduce_theorems(self.scale, self.out)
        if target == "figure2":
            return self.oracles()
        if target == "figure3":
            self._draw(target, draw_figure3)
            return True
        return self.figure(target)

    def _every(self) -> bool:
        """Reproduce every target; return whether nothing failed.

        A target that is not possible, such as for want of data, does not stop the others.
        """
        left_out: list[str] = []
        done = True
        for target in TARGETS:
            try:
                done &= self._make(target)
            except InputError as error:  # noqa: PERF203 - a target takes minutes
                said = str(error)
                left_out.append(said if said.startswith(target) else f"{target}: {said}")
        for line in left_out:
            say(f"not made: {line}")
        return done and not left_out

    def table(self, target: str) -> bool:
        """Reproduce a table, one part for each data set; return whether no run failed.

        Where adjusters cannot be learned, the runs without them are made all the same.

        Raises:
            InputError: data is needed and not given, or as for :class:`~metaloss.sweeps.Sweep`.
        """
        tables = self.tables(target)
        # A noise, or a method, may be one of a single data set.
        known = {name: table for name, table in tables.items() if table.grid.knows(self.runs)}
        parts = [(table, self.sweep(table, name)) for name, table in (known or tables).items()]
        failed = []
        for table, sweep in parts:
            users = [
                job
                for cell, job in sweep.unfinished
                if any("{adjusters}" in text for text in cell.bindings)
            ]
            if users:
                failed += self.learn(table, users[0])
            published = {} if self.scale in UNPUBLISHED else table.published
            failed += carry_out(sweep, self.ray, published)
        return not failed

    def figure(self, target: str) -> bool:
        """Draw a figure from runs with 40% symmetric noise, after making those that it needs.

        Returns:
            Whether no run failed.
        """
        figure = RUN_FIGURES[target]
        ((name, table),) = self.tables("table1", CIFAR10, user=target).items()
        seeds = self.only.get("seed", [str(table.grid.seeds[0])])
        sweep = self._needed(
            target, table, name, noises=[SYMMETRIC], methods=figure.methods, seeds=seeds
        )
        require(
            len(sweep.runs) == len(figure.methods),
            f"{target}: expected --only with one seed, got {', '.join(seeds)}",
        )
        if make_runs(sweep, self.ray):
            return False
        runs = {method: records for (method, *_), records in sweep.records().items()}
        self._draw(target, lambda path: figure.draw(runs, path))
        return True

    def _needed(
        self,
        target: str,
        table: PublishedTable,
        name: str,
        *,
        noises: Sequence[str],
        methods: Sequence[str],
        seeds: Sequence[str],
    ) -> Sweep:
        """Return the sweep of the runs that a figure needs, if ``--only`` leaves them."""
        needed = {"noise": noises, "method": methods, "seed": seeds}
        left = {(c.values["noise"], c.values["method"]) for c in table.grid.cells(self.runs)}
        missing = [
            f"{method} with {noise} noise"
            for noise in noises
            for method in methods
            if (noise, method) not in left
        ]
        require(
            not missing,
            f"{target}: expected --only to leave the runs that it needs, but it leaves out "
            f"{', '.join(missing[:3])}",
        )
        return self.sweep(table, name, needed)

    def oracles(self) -> bool:
        """Draw Figure 2, after making the runs that it needs; return whether none failed."""
        sweeps = []
        for target, noises in ORACLE_NOISES.items():
            ((name, table),) = self.tables(target, CIFAR10, user="figure2").items()
            seeds = self.only.get("seed", list(map(str, table.grid.seeds)))
            sweeps.append(
                self._needed("figure2", table, name, noises=noises, methods=ORACLES, seeds=seeds)
            )
        scores = []
        for sweep in sweeps:
            if make_runs(sweep, self.ray):
                return False
            found = sweep.table()
            assert found is not None  # there are runs, and none failed
            scores.append(found)
        self._draw("figure2", lambda path: draw_oracles(scores, path))
        return True

    def _draw(self, figure: str, draw: Callable[[Path], object]) -> None:
        folder = make_folder(user_path(self.out))
        for ending in ("png", "svg"):
            path = folder / f"{figure}.{ending}"
            draw(path)
            say(f"picture: {path}")

    def tables(
        self, target: str, data: str | None = None, *, user: str = ""
    ) -> dict[str, PublishedTable]:
        """Return the tables of a target, or those of one data set, by the gin files of their grids.

        Args:
            target: ``"table1"`` to ``"table5"``.
            data: the data set.
            user: the target that needs them, which errors name; by default the table.

        Raises:
            InputError: data is needed and not given.
        """
        user, every = user or target, {}
        for name in grids(target, self.scale):
            with configuration([name]) as parsed:
                every[name] = parsed.build(PublishedTable)
        patterns = self.only.get(DATA, ["*"])
        check_patterns(DATA, patterns, [table.data for table in every.values()])
        found = {
            name: table
            for name, table in every.items()
            if data in {None, table.data}
            and any(matches(table.data, pattern) for pattern in patterns)
        }
        require(len(found) > 0, f"{user}: expected --only to leave {data}, got another data set")
        given = self.data is not None and user_path(self.data).is_dir()
        for table in found.values():
            require(
                given or not table.needs,
                f"{user}: expected --data DATA, the folder that holds {table.needs}; got "
                f"{'none' if self.data is None else f'no such folder as {self.data}'}",
            )
        return found

    def sweep(
        self,
        table: PublishedTable,
        name: str,
        only: Mapping[str, Sequence[str]] | None = None,
    ) -> Sweep:
        """Return the sweep of a table, by default with the runs of this reproduction."""
        only = self.runs if only is None else only
        if table.methods:
            only = {"method": table.methods, **only}
        folder = self.out / Path(name).stem.removesuffix(f"_{self.scale}")
        places = {**self.places, "adjusters": adjusters_folder(table, self.out)}
        return Sweep(table.grid, folder, self.bindings, only, places)

    @property
    def runs(self) -> dict[str, Sequence[str]]:
        """The runs to make of a grid: ``only`` without the data sets."""
        return {axis: patterns for axis, patterns in self.only.items() if axis != DATA}

    @property
    def places(self) -> dict[str, str]:
        """What words in braces in bindings stand for."""
        return {} if self.data is None else {"data": str(user_path(self.data).resolve())}

    def learn(self, table: PublishedTable, user: Job) -> list[Outcome]:
        """Learn the adjusters that a table carries over, if they are not there yet.

        Args:
            table: the table.
            user: a run that uses the adjusters.

        Returns:
            The outcome if it failed; its traceback is written to ``errors/``.
        """
        outcome = learn(
            table,
            adjusters_folder(table, self.out),
            user,
            places=self.places,
            bindings=self.bindings,
            ray=self.ray,
        )
        write_traceback(user_path(self.out), outcome)
        failed = [outcome] if outcome.error else []
        report(failed)
        return failed
