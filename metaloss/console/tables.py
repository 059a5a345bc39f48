"""Tables of results on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from metaloss.experiments.tables.score_table import ScoreTable, table_of_rows, titled
from metaloss.experiments.tables.table_formats import NOTHING, beside, counted, shown
from metaloss.kinds import CLASSIFICATION

STYLES = {"best": "bold", "tied": "italic", "": ""}


def score_table(table: ScoreTable) -> Table:
    """Return a table with a row for each method and a column for each task.

    A published mean and the difference from it stand below a score.
    """
    title = Text(table.title)  # a binding in it may look like markup
    lines = Table(title=title, min_width=min(len(table.title), 80), show_lines=False)
    lines.add_column("method", overflow="fold")
    for task in table.tasks:
        lines.add_column(task, justify="right", overflow="fold")
    for method in table.methods:
        cells = [table.cell(method, task) for task in table.tasks]
        row: list[Text] = [Text(method)]
        for cell in cells:
            if cell is None:
                row.append(Text(NOTHING))
                continue
            said = Text(shown(table.metric, cell.mean, cell.std), STYLES[cell.mark])
            said.append(counted(table, cell), "not bold not italic")
            published = beside(table.metric, cell)
            row.append(
                said.append(f"\n{published}", "dim not bold not italic") if published else said
            )
        lines.add_row(*row)
    if table.published:
        lines.caption = "below each score: the paper's mean, and the difference from it"
    return lines


def across_table(rows: Sequence[Mapping[str, Any]], last: int) -> Table:
    """Return the table of methods on several tasks, with the longer of the two as its rows.

    The rows given are those of ``results.json``.
    """
    table = table_of_rows(rows, last)
    metric, names, first = table.metric, table.tasks, rows[0]["tasks"]

    def cell(name: str, row: Mapping[str, Any]) -> Text:
        own = table.cell(row["method"], name)
        assert own is not None
        return Text(shown(metric, own.mean, own.std), "bold" if own.mark == "best" else "")

    headings = [n + (" (unchecked)" if first[n].get("test_unchecked") else "") for n in names]
    lines: list[list[Any]] = [["method", *headings, "mean"]]
    for row in rows:
        cells = [cell(name, row) for name in names]
        mean = metric.format(row[f"{metric.name}_mean"])
        lines.append([Text(row["method"]), *cells, mean])
    if len(names) > len(rows):
        lines = [["task", *lines[0][1:]], *lines[1:]]
        lines = [list(column) for column in zip(*lines, strict=True)]
    drawn = _drawn(titled(metric, [last]), lines[0][0])
    if headings != names:
        drawn.caption = f"unchecked: by {metric.targets} that nobody checked"
    for heading in lines[0][1:]:
        drawn.add_column(heading, justify="right", overflow="fold")
    for line in lines[1:]:
        drawn.add_row(*line)
    return drawn


def results_table(rows: Sequence[Mapping[str, Any]], last: int) -> Table:
    """Return the table of an experiment from the rows of ``results.json``."""
    table = table_of_rows(rows, last)
    drawn = _drawn(table.title, "method")
    if rows[0].get("test_unchecked") and table.metric == CLASSIFICATION.metric:
        drawn.caption = "wrong labels of test samples count as mistakes: no network reaches 100"
    for heading in ("mean", "std", "seeds"):
        drawn.add_column(heading, justify="right")
    (task,) = table.tasks
    for method in table.methods:
        cell = table.cell(method, task)
        assert cell is not None
        drawn.add_row(
            Text(method),
            table.metric.format(cell.mean),
            "-" if cell.std is None else table.metric.format(cell.std),
            str(len(cell.scores)),
            style="bold" if cell.mark == "best" else None,
        )
    return drawn


def _drawn(title: str, first: str) -> Table:
    """Return a table with a first column and no row yet."""
    table = Table(title=title, min_width=len(title))
    table.add_column(first, overflow="fold")
    return table
