"""A grid of runs: the product of axes, each with values that are gin files and bindings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import product
from pathlib import Path
from typing import NamedTuple

from metaloss.arguments import check_arguments
from metaloss.checks import InputError, check_one_of, require
from metaloss.experiments.records.names import check_names, slug
from metaloss.seeding import check_seeds

SEED = "seed"


class GridCell(NamedTuple):
    """One run of a grid.

    Attributes:
        values: the name of its value on each axis.
        seed: its seed.
        files: the gin files that are read after the grid's experiment, in order.
        bindings: the bindings that are read last.
    """

    values: Mapping[str, str]
    seed: int
    files: tuple[str, ...]
    bindings: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name in messages."""
        return ", ".join([*self.values.values(), f"seed {self.seed}"])

    @property
    def folder(self) -> Path:
        """The folder inside that of the sweep."""
        return Path(*(slug(value) for value in self.values.values()), f"seed-{self.seed}")


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The runs of one experiment with every combination of several axes' values and the seeds.

    Args:
        experiment: the gin file that every run begins with, by path or by its name among the
            package's files. It describes an :class:`~metaloss.experiments.Experiment` whose seeds
            are the macro ``SEEDS``.
        axes: the values of each axis, by the axis's name and the value's name. A value is a list of
            gin files, which end in ``.gin``, and of bindings.
        seeds: the seeds; all runs of one seed come before those of the next.
        rows: the axis whose values are the rows of the table. The other axes make its columns, and
            the seeds are averaged.
        bindings: bindings for every run. ``{out}`` in these and in the values' own stands for the
            folder of the sweep, and other words in braces for texts that the sweep is given.
        skip: combinations to leave out: each is a value's name, or a list of them, for some of the
            axes.
        title: the title of the table.

    Raises:
        InputError: an axis has no value, names make the same folder, ``rows`` or ``skip`` names an
            axis or a value that is not there, or nothing is left to run.

    Example:
        >>> from metaloss.sweeps import Grid
        >>> grid = Grid(
        ...     experiment="experiments/digits.gin",
        ...     axes={
        ...         "noise": {"40%": ["NOISE_RATE = 0.4"], "60%": ["NOISE_RATE = 0.6"]},
        ...         "method": {"CE": ["tables/ce.gin"], "GCE": ["tables/gce.gin"]},
        ...     },
        ...     skip=[{"noise": "60%", "method": "CE"}],
        ... )
        >>> [cell.name for cell in grid.cells()]
        ['40%, CE, seed 0', '40%, GCE, seed 0', '60%, GCE, seed 0']
    """

    experiment: str
    axes: Mapping[str, Mapping[str, Sequence[str]]]
    seeds: Sequence[int] = (0,)
    rows: str = "method"
    bindings: Sequence[str] = ()
    skip: Sequence[Mapping[str, str | Sequence[str]]] = ()
    title: str = ""

    def __post_init__(self) -> None:
        """Check the axes."""
        check_arguments(self)
        require(len(self.axes) > 0, "axes: expected one or more, got none")
        require(SEED not in self.axes, "axes: expected no axis 'seed', got one; set seeds")
        for axis, values in self.axes.items():
            check_names(f"axis {axis}", values)
        check_one_of("rows", self.rows, self.axes)
        check_seeds(self.seeds)
        for combination in self.skip:
            for axis, names in combination.items():
                check_one_of("skip", axis, self.axes)
                for name in _listed(names):
                    check_one_of(f"skip: {axis}", name, self.axes[axis])
        require(
            next(self._combinations(), None) is not None,
            "skip: expected something left to run, got nothing",
        )

    def cells(self, only: Mapping[str, Sequence[str]] | None = None) -> list[GridCell]:
        """Return the runs, those of the first seed first and the last axis fastest.

        Args:
            only: patterns such as ``A-*`` for the values of some axes, or for ``seed``; a run is
                returned if its value matches one pattern of each. By default, all runs.

        Raises:
            InputError: an axis that is not there, or a pattern that no value matches.
        """
        only = only or {}
        for axis, patterns in only.items():
            check_one_of("only", axis, [*self.axes, SEED])
            values = list(map(str, self.seeds)) if axis == SEED else list(self.axes[axis])
            check_patterns(axis, patterns, values)
        return [
            GridCell(values, seed, *self._settings(values, seed))
            for seed in self.seeds
            for values in self._combinations()
            if all(
                any(matches({**values, SEED: str(seed)}[axis], pattern) for pattern in patterns)
                for axis, patterns in only.items()
            )
        ]

    def knows(self, only: Mapping[str, Sequence[str]]) -> bool:
        """Return whether every pattern of :meth:`cells` matches something."""
        try:
            self.cells(only)
        except InputError:
            return False
        return True

    def column(self, cell: GridCell) -> str:
        """Return the column of the table that a run belongs to."""
        others = [name for axis, name in cell.values.items() if axis != self.rows]
        return ", ".join(others) or "all"

    def _combinations(self) -> Iterator[dict[str, str]]:
        for names in product(*self.axes.values()):
            values = dict(zip(self.axes, names, strict=True))
            left_out = (
                all(values[axis] in _listed(some) for axis, some in each.items())
                for each in self.skip
            )
            if not any(left_out):
                yield values

    def _settings(
        self, values: Mapping[str, str], seed: int
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        said = [text for axis, name in values.items() for text in self.axes[axis][name]]
        files = tuple(text for text in said if text.endswith(".gin"))
        bindings = tuple(text for text in said if not text.endswith(".gin"))
        return files, (*self.bindings, *bindings, f"SEEDS = ({seed},)")


def _listed(names: str | Sequence[str]) -> Sequence[str]:
    return [names] if isinstance(names, str) else names


def check_patterns(axis: str, patterns: Sequence[str], values: Sequence[str]) -> None:
    """Raise an error if no value of an axis matches one of the patterns."""
    for pattern in patterns:
        require(
            any(matches(value, pattern) for value in values),
            f"only: expected one of {', '.join(values)} for {axis}, got {pattern!r}",
        )


def matches(value: str, pattern: str) -> bool:
    """Return whether a value matches a pattern such as ``A-*``, in upper or lower case."""
    return fnmatch(value.casefold(), pattern.casefold())
