"""A table of the paper: the grid of runs that reproduces it, and the numbers printed there."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from metaloss.arguments import check_arguments
from metaloss.checks import check_one_of
from metaloss.experiments.tables.score_table import Published
from metaloss.sweeps import Grid

NUMBERS = Path(__file__).parent / "published"
TABLES = ("table1", "table2", "table3", "table4", "table5")


@dataclass(frozen=True, kw_only=True)
class PublishedTable:
    """A grid of runs, and the paper's table of their scores.

    Args:
        grid: the grid. Its methods and columns have the paper's names where the paper has them.
        table: ``"table1"`` to ``"table5"``.
        data: the data set of the table's rows, such as ``"CIFAR-10"``.
        methods: patterns of the methods that are run unless others are asked for. By default, all
            of the grid.
        adjusters: the gin file of a meta-training that has to come first. ``{adjusters}`` in the
            grid's bindings stands for its folder.
        adjuster_bindings: bindings for it.
        needs: what to download and where it goes, if the grid needs data.

    Raises:
        InputError: an unknown table or data set.

    Example:
        >>> from metaloss.reproduce import PublishedTable
        >>> from metaloss.sweeps import Grid
        >>> grid = Grid(experiment="experiments/paper_cifar10.gin", axes={"method": {"CE": []}})
        >>> table = PublishedTable(grid=grid, table="table1", data="CIFAR-10")
        >>> table.published["A-GCE", "symmetric 0.4"]
        Published(mean=88.19, std=0.13)
    """

    grid: Grid
    table: str
    data: str
    methods: Sequence[str] = ()
    adjusters: str = ""
    adjuster_bindings: Sequence[str] = ()
    needs: str = ""

    def __post_init__(self) -> None:
        """Check the table and the data set."""
        check_arguments(self)
        check_one_of("table", self.table, TABLES)
        check_one_of("data", self.data, dict.fromkeys(row["data"] for row in _rows(self.table)))

    @property
    def published(self) -> Mapping[tuple[str, str], Published]:
        """The printed mean and spread, in percent, by method and column."""
        return {
            (row["method"], row["task"]): Published(
                float(row["mean"]), float(row["std"]) if row["std"] else None
            )
            for row in _rows(self.table)
            if row["data"] == self.data
        }


def _rows(table: str) -> list[dict[str, str]]:
    """Return the lines of a table's file: data, method, task, mean and std."""
    with (NUMBERS / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
