"""Tables of scores as CSV, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Callable

from metaloss.experiments.tables.score_table import Cell, ScoreTable
from metaloss.files import csv_text
from metaloss.kinds import Metric

LEGEND = "Bold: the best of its column. Italic: no further from it than the spread over seeds."
NOTHING = "-"


def to_csv(table: ScoreTable) -> str:
    """Return the table as CSV: a line for each method and task, with the score of every seed.

    Example:
        >>> from metaloss.experiments.tables.score_table import ScoreTable
        >>> from metaloss.experiments.tables.table_formats import to_csv
        >>> from metaloss.kinds import CLASSIFICATION
        >>> scores = {("CE", "digits"): {0: 70.0, 1: 72.0}}
        >>> print(to_csv(ScoreTable(title="", metric=CLASSIFICATION.metric, methods=["CE"],
        ...     tasks=["digits"], scores=scores)), end="")
        method,task,metric,mean,std,mark,published,published_std,difference,seed_0,seed_1
        CE,digits,accuracy,71.0,1.4142,best,,,,70.0,72.0
    """
    seeds = table.seeds
    published = ["published", "published_std", "difference"]
    head = ["method", "task", "metric", "mean", "std", "mark", *published]
    rows: list[list[object]] = [[*head, *(f"seed_{seed}" for seed in seeds)]]
    for method in table.methods:
        for task in table.tasks:
            cell = table.cell(method, task)
            if cell is None:
                continue
            own = [cell.mean, cell.std, cell.mark, *(cell.published or (None, None))]
            numbers = [*own, cell.difference, *(cell.scores.get(seed) for seed in seeds)]
            rounded = [round(n, 4) if isinstance(n, float) else n for n in numbers]
            rows.append([method, task, table.metric.name, *rounded])
    return csv_text(rows)


def to_markdown(table: ScoreTable) -> str:
    """Return the table as Markdown, with a second table of every seed's score if there are several.

    Published scores and the differences from them stand below the scores.
    """
    lines = [f"**{table.title}**", "", *_markdown_rows(table, _markdown_cell(table)), "", LEGEND]
    if len(table.seeds) > 1:
        seeds = ", ".join(map(str, table.seeds))
        lines += ["", f"Seeds {seeds}:", "", *_markdown_rows(table, _every_seed(table))]
    return "\n".join(lines) + "\n"


def to_latex(table: ScoreTable) -> str:
    """Return the table as LaTeX, for the package booktabs.

    Published scores, and the differences from them, stand in rows of their own. The score of every
    seed is in comments.
    """
    lines = [
        f"% {table.title}. {LEGEND}",
        rf"\begin{{tabular}}{{l{'r' * len(table.tasks)}}}",
        r"\toprule",
        _latex_row(["Method", *map(_latex, table.tasks)]),
        r"\midrule",
    ]
    for method in table.methods:
        cells = [table.cell(method, task) for task in table.tasks]
        lines.append(_latex_row([_latex(method), *(_latex_cell(table.metric, c) for c in cells)]))
        if any(cell is not None and cell.published for cell in cells):
            said = [_latex_published(table.metric, cell) for cell in cells]
            lines.append(_latex_row([r"\quad\textit{published}", *said]))
    lines += [r"\bottomrule", r"\end{tabular}"]
    for method in table.methods:
        for task in table.tasks:
            cell = table.cell(method, task)
            if cell is not None:
                scores = ", ".join(f"{seed}: {score:.4f}" for seed, score in cell.scores.items())
                lines.append(f"% {method}, {task}, by seed: {scores}")
    return "\n".join(lines) + "\n"


def counted(table: ScoreTable, cell: Cell) -> str:
    """Return the number of a cell's seeds where others have more, as words to write behind it."""
    several = len(table.seeds)
    return "" if len(cell.scores) == several else f" ({len(cell.scores)} of {several} seeds)"


def shown(metric: Metric, mean: float, std: float | None) -> str:
    """Return a mean and its spread.

    Example:
        >>> from metaloss.experiments.tables.table_formats import shown
        >>> from metaloss.kinds import CLASSIFICATION
        >>> shown(CLASSIFICATION.metric, 88.19, 0.13)
        '88.19 ± 0.13'
    """
    return metric.format(mean) + ("" if std is None else f" ± {metric.format(std)}")


def beside(metric: Metric, cell: Cell) -> str:
    """Return the published mean of a cell and the difference from it."""
    if cell.published is None or cell.difference is None:
        return ""
    return f"{metric.format(cell.published.mean)} ({cell.difference:+.{metric.digits}f})"


def _markdown_rows(table: ScoreTable, show: Callable[[Metric, Cell], str]) -> list[str]:
    lines = [["method", *table.tasks], ["---", *["---:" for _ in table.tasks]]]
    for method in table.methods:
        cells = (table.cell(method, task) for task in table.tasks)
        lines.append([method, *(NOTHING if c is None else show(table.metric, c) for c in cells)])
    return ["| " + " | ".join(each.replace("|", r"\|") for each in line) + " |" for line in lines]


def _markdown_cell(table: ScoreTable) -> Callable[[Metric, Cell], str]:
    def show(metric: Metric, cell: Cell) -> str:
        around = {"best": "**", "tied": "*", "": ""}[cell.mark]
        said = around + shown(metric, cell.mean, cell.std) + around + counted(table, cell)
        return said if cell.published is None else f"{said}<br>published {beside(metric, cell)}"

    return show


def _every_seed(table: ScoreTable) -> Callable[[Metric, Cell], str]:
    def show(metric: Metric, cell: Cell) -> str:
        scores = (cell.scores.get(seed) for seed in table.seeds)
        return ", ".join(NOTHING if score is None else metric.format(score) for score in scores)

    return show


def _latex_row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex_cell(metric: Metric, cell: Cell | None) -> str:
    if cell is None:
        return "--"
    mean = metric.format(cell.mean)
    mean = {"best": rf"\textbf{{{mean}}}", "tied": rf"\textit{{{mean}}}", "": mean}[cell.mark]
    return mean if cell.std is None else rf"{mean} $\pm$ {metric.format(cell.std)}"


def _latex_published(metric: Metric, cell: Cell | None) -> str:
    if cell is None or cell.published is None:
        return "--"
    mean, std = cell.published
    spread = "" if std is None else rf" $\pm$ {metric.format(std)}"
    return f"{metric.format(mean)}{spread} (${cell.difference:+.{metric.digits}f}$)"


def _latex(text: str) -> str:
    """Return text in which the characters that LaTeX reads as commands are escaped."""
    return text.translate(_ESCAPED)


_ESCAPED = {ord(letter): "\\" + letter for letter in "{}&%$#_"} | {
    ord("\\"): r"\textbackslash{}",
    ord("~"): r"\textasciitilde{}",
    ord("^"): r"\textasciicircum{}",
}
