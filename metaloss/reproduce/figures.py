"""The figures of the paper: which runs they need, and how they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from metaloss.diagnostics.figures import (
    Pair,
    draw_figure1,
    draw_figure2,
    draw_figure7,
    draw_figure8,
    draw_figure9,
    draw_figure10,
)
from metaloss.experiments.records.run_records import RunRecords
from metaloss.experiments.tables.score_table import ScoreTable

LOSSES = ("GCE", "SL", "PolySoft", "JS")
SYMMETRIC = "symmetric 0.4"
Runs = Mapping[str, RunRecords]


class RunFigure(NamedTuple):
    """A figure drawn from single runs with 40% symmetric noise.

    Attributes:
        methods: the methods of the runs.
        draw: draws it, called with the runs by method and the picture's path.
    """

    methods: Sequence[str]
    draw: Callable[[Runs, Path], object]


def _pairs(runs: Runs, losses: Sequence[str]) -> list[Pair]:
    return [Pair(runs[f"A-{loss}"], runs[loss]) for loss in losses]


def _methods(losses: Sequence[str]) -> list[str]:
    return [method for loss in losses for method in (loss, f"A-{loss}")]


RUN_FIGURES: Mapping[str, RunFigure] = {
    "figure1": RunFigure(
        _methods(["GCE"]),
        lambda runs, path: draw_figure1(_pairs(runs, ["GCE"])[0], path),
    ),
    "figure7": RunFigure(
        _methods(LOSSES), lambda runs, path: draw_figure7(_pairs(runs, LOSSES), path)
    ),
    "figure8": RunFigure(
        ["A-GCE", "A-SL", "A-JS"],
        lambda runs, path: draw_figure8(list(runs.values()), path),
    ),
    "figure9": RunFigure(
        ["A-PolySoft", "MW-Net"],
        lambda runs, path: draw_figure9(list(runs.values()), path),
    ),
    "figure10": RunFigure(
        _methods(["GCE", "JS"]),
        lambda runs, path: draw_figure10(_pairs(runs, ["GCE", "JS"]), path),
    ),
}

ORACLES = ("CE", *(name for loss in LOSSES for name in (loss, f"oracle {loss}")))
"""The methods of Figure 2."""

ORACLE_NOISES = {"table1": (SYMMETRIC, "asymmetric 0.4"), "table2": ("instance 0.4",)}
"""The columns of Figure 2, by the table that has their runs."""


def draw_oracles(tables: Sequence[ScoreTable], path: Path) -> None:
    """Draw Figure 2 from the scores of cross entropy, the searched losses and the oracles.

    Each table has some of the columns.
    """
    by_method: dict[str, dict[str, list[float]]] = {}
    columns = {noise for noises in ORACLE_NOISES.values() for noise in noises}
    for table in tables:
        for (method, noise), scores in table.scores.items():
            if method in ORACLES and noise in columns:
                by_method.setdefault(method, {})[noise] = list(scores.values())
    draw_figure2(by_method, path)
