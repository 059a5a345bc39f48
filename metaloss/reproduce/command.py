"""Run the grids of a target, and set the results beside the paper's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from metaloss.checks import require
from metaloss.config import configuration
from metaloss.console import observer
from metaloss.files import user_path
from metaloss.reproduce.published_table import PublishedTable
from metaloss.reproduce.targets import grids
from metaloss.sweeps import Sweep
from metaloss.sweeps.command import Done, Machine, carry_out
from metaloss.sweeps.jobs import Job, placed


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """Where and how targets are reproduced.

    Attributes:
        scale: ``"smoke"``, ``"laptop"`` or ``"paper"``.
        out: the folder, with a folder for each grid.
        data: the folder that holds the data sets; ``None`` if there is none.
        bindings: bindings for every run.
        only: the runs to make, as for :meth:`metaloss.sweeps.Grid.cells`.
        machine: where runs are made.
    """

    scale: str
    out: Path
    data: Path | None = None
    bindings: Sequence[str] = ()
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)
    machine: Machine = field(default_factory=Machine)

    def run(self, target: str) -> bool:
        """Reproduce a target; return whether nothing failed."""
        return all(not done.failed for done in self.table(target))

    def table(self, target: str) -> list[Done]:
        """Reproduce a table: one part for each data set.

        Raises:
            InputError: data is needed and not given, or as for :class:`~metaloss.sweeps.Sweep`.
        """
        parts = [(table, self.sweep(table, name)) for name, table in self.tables(target).items()]
        done = []
        for table, sweep in parts:
            if table.adjusters and any(self.adjusters(table) in j.text for j in sweep.unfinished):
                self.learn(table)
            done.append(carry_out(sweep, self.machine, published=table.published))
        return done

    def tables(self, target: str) -> dict[str, PublishedTable]:
        """Return the tables of a target by the gin files of their grids.

        Raises:
            InputError: data is needed and not given.
        """
        found = {}
        for name in grids(target, self.scale):
            with configuration([name]) as parsed:
                table = parsed.build(PublishedTable)
            require(
                self.data is not None or not table.needs,
                f"{target}: expected --data DATA, the folder that holds {table.needs}; got none",
            )
            found[name] = table
        return found

    def sweep(
        self,
        table: PublishedTable,
        name: str,
        only: Mapping[str, Sequence[str]] | None = None,
    ) -> Sweep:
        """Return the sweep of a table.

        Args:
            table: the table.
            name: the gin file of its grid.
            only: the runs to make; by default, those of this reproduction.
        """
        only = only or self.only
        if table.methods:
            only = {"method": table.methods, **only}
        folder = self.out / Path(name).stem.removesuffix(f"_{self.scale}")
        places = {**self.places, "adjusters": self.adjusters(table)}
        return Sweep(table.grid, folder, self.bindings, only, places)

    @property
    def places(self) -> dict[str, str]:
        """What words in braces in bindings stand for."""
        return {} if self.data is None else {"data": str(user_path(self.data).resolve())}

    def adjusters(self, table: PublishedTable) -> str:
        """Return the folder of the meta-training that a table's adjusters come from."""
        return str((user_path(self.out) / Path(table.adjusters).stem).resolve())

    def learn(self, table: PublishedTable) -> None:
        """Make the meta-training that a table's adjusters come from, or what is left of it."""
        bindings = [placed(binding, self.places) for binding in table.adjuster_bindings]
        with configuration([table.adjusters], bindings) as parsed:
            job = Job("adjusters", parsed.text, self.adjusters(table))
        with observer(Console(stderr=True)) as watching:
            job.run(watching)
