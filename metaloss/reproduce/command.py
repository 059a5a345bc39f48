"""Run the grids of a target, and set the results beside the paper's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from metaloss.checks import require
from metaloss.config import configuration
from metaloss.files import user_path
from metaloss.reproduce.published_table import PublishedTable
from metaloss.reproduce.targets import grids
from metaloss.sweeps import Sweep
from metaloss.sweeps.command import Done, Machine, carry_out


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
        sweeps = [self.sweep(target, name) for name in grids(target, self.scale)]
        return [
            carry_out(sweep, self.machine, published=table.published) for table, sweep in sweeps
        ]

    def sweep(
        self, target: str, grid: str, only: Mapping[str, Sequence[str]] | None = None
    ) -> tuple[PublishedTable, Sweep]:
        """Return a grid's published table and its sweep.

        Args:
            target: the target, for messages.
            grid: the grid's gin file.
            only: the runs to make; by default, those of this reproduction.
        """
        with configuration([grid]) as parsed:
            table = parsed.build(PublishedTable)
        require(
            self.data is not None or not table.needs,
            f"{target}: expected --data DATA, the folder that holds {table.needs}; got none",
        )
        only = only or self.only
        if table.methods:
            only = {"method": table.methods, **only}
        name = Path(grid).stem.removesuffix(f"_{self.scale}")
        places = {} if self.data is None else {"data": str(user_path(self.data).resolve())}
        return table, Sweep(table.grid, self.out / name, self.bindings, only, places)
