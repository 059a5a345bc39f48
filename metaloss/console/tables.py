"""Tables of results on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from metaloss.experiments.tables.score_table import ScoreTable, of_last
from metaloss.experiments.tables.table_formats import NOTHING, beside, counted, shown
from metaloss.kinds import CLASSIFICATION, METRICS, Metric

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
    metric = METRICS[rows[0]["metric"]]
    mean, std = f"{metric.name}_mean", f"{metric.name}_std"
    names = list(rows[0]["tasks"])
    means = {name: {row["method"]: row["tasks"][name][mean] for row in rows} for name in names}
    best = {name: _best(rows, metric, means[name]) for name in names}

    def cell(name: str, row: Mapping[str, Any]) -> Text:
        own = row["tasks"][name]
        spread = f" ± {metric.format(own[std])}" if len(own["seeds"]) > 1 else ""
        bold = "bold" if row["method"] in best[name] else ""
        return Text(metric.format(own[mean]) + spread, bold)

    first = rows[0]["tasks"]
    headings = [n + (" (unchecked)" if first[n].get("test_unchecked") else "") for n in names]
    lines = [["method", *headings, "mean"]]
    for row in rows:
        cells = [cell(name, row) for name in names]
        lines.append([Text(row["method"]), *cells, metric.format(row[mean])])
    if len(names) > len(rows):
        lines = [["task", *lines[0][1:]], *lines[1:]]
        lines = [list(column) for column in zip(*lines, strict=True)]
    table = _titled(metric, last, lines[0][0])
    if headings != names:
        table.caption = f"unchecked: by {_targets(metric)} that nobody checked"
    for heading in lines[0][1:]:
        table.add_column(heading, justify="right", overflow="fold")
    for line in lines[1:]:
        table.add_row(*line)
    return table


def results_table(rows: Sequence[Mapping[str, Any]], last: int) -> Table:
    """Return the table of an experiment from the rows of ``results.json``."""
    metric = METRICS[rows[0]["metric"]]
    by = f" by unchecked {_targets(metric)}" if rows[0].get("test_unchecked") else ""
    table = _titled(metric, last, by=by)
    if by and metric == CLASSIFICATION.metric:
        table.caption = "wrong labels of test samples count as mistakes: no network reaches 100"
    table.add_column("mean", justify="right")
    table.add_column("std", justify="right")
    table.add_column("seeds", justify="right")
    mean, std = f"{metric.name}_mean", f"{metric.name}_std"
    best = _best(rows, metric, {row["method"]: row[mean] for row in rows})
    for row in rows:
        table.add_row(
            Text(row["method"]),
            metric.format(row[mean]),
            metric.format(row[std]) if len(row["seeds"]) > 1 else "-",
            str(len(row["seeds"])),
            style="bold" if row["method"] in best else None,
        )
    return table


def _best(
    rows: Sequence[Mapping[str, Any]], metric: Metric, means: Mapping[str, float]
) -> set[str]:
    """Return the best methods. Oracles, which know the wrong labels, are not among those ranked."""
    ranked = {row["method"]: means[row["method"]] for row in rows if not row.get("informed")}
    return {name for name, mean in ranked.items() if mean == metric.best(list(ranked.values()))}


def _targets(metric: Metric) -> str:
    return "labels" if metric == CLASSIFICATION.metric else "values"


def _titled(metric: Metric, last: int, first: str = "method", by: str = "") -> Table:
    title = f"{metric.title}{by}, {of_last([last])}"
    table = Table(title=title, min_width=len(title))
    table.add_column(first, overflow="fold")
    return table
