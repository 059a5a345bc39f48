"""A directive that writes a table of results from a CSV file.

A line of the file is one figure: some columns say what it is of, one holds the value, and one, if
there is one, its spread over seeds. Usage, in Markdown::

    ```{results} ../results/transfer.csv
    :rows: method
    :columns: noise
    :where: target=digits
    ```

Figures with the same row and column are averaged; with ``:spread:`` their standard deviation is
shown too. Rows and columns come in the order of the file.
"""

from __future__ import annotations

import csv
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import OptionSpec


class Figure(NamedTuple):
    """A mean and, if it is known, its spread."""

    value: float
    spread: float | None = None


class Pivot(NamedTuple):
    """Figures by row and column, both in order."""

    rows: list[str]
    columns: list[str]
    figures: dict[tuple[str, str], Figure]


def pivot(
    lines: Sequence[Mapping[str, str]],
    rows: Sequence[str],
    columns: Sequence[str],
    where: Mapping[str, Sequence[str]],
    value: str = "value",
    *,
    spread: bool = False,
) -> Pivot:
    """Arrange the lines of a file as a table.

    Args:
        lines: each a mapping from the names of the file's columns.
        rows: the columns whose values, joined by a comma, name a row of the table.
        columns: likewise for the columns of the table.
        where: which values to take, for some columns of the file.
        value: the column with the figures.
        spread: add the standard deviation of the figures that fall into one cell.

    Raises:
        ValueError: no line is taken, or several with a spread fall into one cell.
    """
    found: dict[tuple[str, str], list[Figure]] = {}
    for line in lines:
        if any(line[name] not in values for name, values in where.items()):
            continue
        cell = tuple(", ".join(line[k] for k in keys if line[k]) for keys in (rows, columns))
        given = float(line["spread"]) if line.get("spread") else None
        found.setdefault((cell[0], cell[1]), []).append(Figure(float(line[value]), given))
    if not found:
        raise ValueError("expected lines that the table takes, found none")
    figures = {}
    for cell, values in found.items():
        if len(values) > 1 and any(figure.spread is not None for figure in values):
            raise ValueError(f"expected one figure with a spread, got {len(values)} in {cell}")
        each = [figure.value for figure in values]
        over = statistics.stdev(each) if spread and len(each) > 1 else values[0].spread
        figures[cell] = Figure(statistics.fmean(each), over)
    names = [list(dict.fromkeys(cell[k] for cell in found)) for k in range(2)]
    return Pivot(names[0], names[1], figures)


def with_means(table: Pivot) -> Pivot:
    """Add a row of means over the rows, for columns without gaps."""
    figures = dict(table.figures)
    for column in table.columns:
        cells = [figures.get((row, column)) for row in table.rows]
        known = [figure.value for figure in cells if figure is not None]
        if len(known) == len(table.rows):
            figures["mean", column] = Figure(statistics.fmean(known))
    return Pivot([*table.rows, "mean"], table.columns, figures)


def best(table: Pivot, along: str) -> set[tuple[str, str]]:
    """Return the cells with the largest figure of their row or column, as they are rounded."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for row, column in table.figures:
        groups.setdefault(row if along == "row" else column, []).append((row, column))
    chosen = set()
    for cells in groups.values():
        top = max(round(table.figures[cell].value, 1) for cell in cells)
        chosen |= {cell for cell in cells if round(table.figures[cell].value, 1) == top}
    return chosen


class ResultTable(SphinxDirective):
    """A table of the figures in a CSV file, which is given relative to the page."""

    required_arguments = 1
    option_spec: ClassVar[OptionSpec] = {
        "rows": directives.unchanged_required,  # names of columns of the file
        "columns": directives.unchanged_required,
        "where": directives.unchanged,  # target=digits; method=GCE|SL
        "show": directives.unchanged,  # which columns, and their titles: a=Title; b=Title
        "names": directives.unchanged,  # the same for rows
        "value": directives.unchanged,
        "best": lambda text: directives.choice(text, ("row", "column")),
        "means": directives.flag,
        "spread": directives.flag,
    }

    def run(self) -> list[nodes.Node]:
        """The table."""
        relative, absolute = self.env.relfn2path(self.arguments[0])
        self.env.note_dependency(relative)
        with Path(absolute).open(newline="") as file:
            lines = list(csv.DictReader(file))
        where = {name: text.split("|") for name, text in _pairs(self.options.get("where", ""))}
        keys = [self.options[name].split() for name in ("rows", "columns")]
        try:
            value = self.options.get("value", "value")
            table = pivot(lines, *keys, where, value, spread="spread" in self.options)
        except (KeyError, ValueError) as error:
            raise self.error(f"{relative}: {error}") from None
        titles = dict(_pairs(self.options.get("show", ""))) or {c: c for c in table.columns}
        names = dict(_pairs(self.options.get("names", ""))) or {r: r for r in table.rows}
        table = Pivot(list(names), list(titles), _kept(table, names, titles))
        if "means" in self.options:
            table = with_means(table)
            names["mean"] = "mean"
        bold = best(table, self.options["best"]) if "best" in self.options else set()
        header = ["", *titles.values()]
        body = [
            [_text(names[row])]
            + [_figure(table.figures.get((row, c)), (row, c) in bold) for c in titles]
            for row in table.rows
        ]
        return [_table([_text(title) for title in header], body)]


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs = [part.partition("=") for part in text.replace("\n", " ").split(";") if part.strip()]
    return [(key.strip(), value.strip()) for key, _, value in pairs]


def _kept(
    table: Pivot, names: Mapping[str, str], titles: Mapping[str, str]
) -> dict[tuple[str, str], Figure]:
    for wanted, there in ((names, table.rows), (titles, table.columns)):
        for name in wanted:
            if name not in there:
                raise ValueError(f"expected one of {there}, got {name!r}")
    return {cell: f for cell, f in table.figures.items() if cell[0] in names and cell[1] in titles}


def _text(label: str) -> nodes.Node:
    return nodes.literal(text=label[1:-1]) if label.startswith("`") else nodes.Text(label)


def _figure(figure: Figure | None, bold: bool) -> nodes.Node:
    if figure is None:
        return nodes.Text("")
    spread = "" if figure.spread is None else f" ± {figure.spread:.1f}"
    value = f"{figure.value:.1f}"
    if bold:
        return nodes.inline("", "", nodes.strong(text=value), nodes.Text(spread))
    return nodes.Text(value + spread)


def _table(header: Sequence[nodes.Node], body: Sequence[Sequence[nodes.Node]]) -> nodes.table:
    group = nodes.tgroup("", cols=len(header))
    group += [nodes.colspec("", colwidth=1) for _ in header]
    group += nodes.thead("", _row(header))
    group += nodes.tbody("", *(_row(cells) for cells in body))
    return nodes.table("", group, classes=["figures"])


def _row(cells: Sequence[nodes.Node]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells))


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive."""
    app.add_directive("results", ResultTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
