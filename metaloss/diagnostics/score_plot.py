"""A picture of a table of scores."""

from __future__ import annotations

import textwrap
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metaloss.diagnostics.figures.drawing import legend_below, plain_text, save
from metaloss.experiments.tables.score_table import ScoreTable

SEED, MEAN, BEST, PUBLISHED = "#9aa7b1", "#2f6f9f", "#c8553d", "#24333d"
CLOSE = 10.0
"""The distance, in points, up to which published means are shown in any case."""


def draw_scores(table: ScoreTable, path: str | Path) -> Figure:
    """Draw a panel for each task, with the scores of every seed and their mean.

    A published mean is a hollow diamond. A panel has none if they are all far from its scores, as
    those of another network on less data are. The best mean of a task has another colour.

    Args:
        table: the scores.
        path: the picture's, with an ending that matplotlib knows.

    Returns:
        The figure, as written.
    """
    across = min(len(table.tasks), 4)
    down = -(-len(table.tasks) // across)
    height = 0.8 + 0.24 * len(table.methods)
    figure = Figure(figsize=(2.2 + 2.4 * across, 0.6 + height * down), layout="constrained")
    axes = figure.subplots(down, across, sharey=True, squeeze=False)
    for axis, task in zip(axes.flat, table.tasks, strict=False):
        _panel(axis, table, task)
    for axis in axes.flat[len(table.tasks) :]:
        axis.set_visible(False)
    width = int(12 * figure.get_figwidth())  # letters of this size
    figure.suptitle(plain_text(textwrap.fill(table.title, width)), fontsize="medium")
    legend_below(figure, markerscale=1, fontsize="small")
    save(figure, path)
    return figure


def _comparable(table: ScoreTable, task: str) -> bool:
    """Return whether published means are not so far away that they would squeeze the scores."""
    cells = [cell for method in table.methods if (cell := table.cell(method, task)) is not None]
    scores = [score for cell in cells for score in cell.scores.values()]
    means = [cell.published.mean for cell in cells if cell.published is not None]
    if not means:
        return False
    margin = max(max(scores) - min(scores), CLOSE)
    return min(means) <= max(scores) + margin and max(means) >= min(scores) - margin


def _panel(axis: Axes, table: ScoreTable, task: str) -> None:
    comparable = _comparable(table, task)
    for row, method in enumerate(table.methods):
        cell = table.cell(method, task)
        if cell is None:
            continue
        several = len(cell.scores) > 1
        if several:
            axis.plot(
                list(cell.scores.values()),
                [row] * len(cell.scores),
                "o",
                color=SEED,
                markersize=3.5,
                label="a seed",
            )
        best = cell.mark == "best"
        axis.plot(
            [cell.mean],
            [row],
            "|" if several else "o",
            color=BEST if best else MEAN,
            markersize=11 if several else 5,
            markeredgewidth=2,
            label="best mean" if best else "mean over seeds" if several else "score",
        )
        if cell.published is not None and comparable:
            axis.plot(
                [cell.published.mean],
                [row],
                "D",
                markerfacecolor="none",
                color=PUBLISHED,
                markersize=5,
                label="the paper's mean",
            )
    names = [plain_text(method) for method in table.methods]
    axis.set_yticks(range(len(names)), names, fontsize="small")
    axis.set_ylim(len(table.methods) - 0.4, -0.6)
    axis.set_xlabel(table.metric.title, fontsize="small")
    axis.set_title(plain_text(task), fontsize="medium")
    axis.grid(axis="x", color="#e4e8eb", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
