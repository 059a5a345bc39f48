"""The section with the table of results."""

from __future__ import annotations

import statistics

from metaloss.experiments.tables.score_table import Cell, ScoreTable
from metaloss.experiments.tables.table_formats import LEGEND, NOTHING, counted, shown
from metaloss.report.html import escaped, folded, paragraph, section, table
from metaloss.report.rows import Report
from metaloss.report.sources import LEARNED_ON

_MARKS = {"best": ("<strong>", "</strong>"), "tied": ("<em>", "</em>"), "": ("", "")}


def results(report: Report) -> str:
    """Return the section: the mean and the spread over seeds, a row a method, a column a task."""
    scores = report.table()
    rows = [[escaped(method), *_row(scores, method)] for method in scores.methods]
    # The scores of different tasks are averaged where every method has all of them.
    averaged = report.several_tasks and len(scores.scores) == len(rows) * len(report.tasks)
    if averaged:
        for row, method in zip(rows, scores.methods, strict=True):
            cells = [scores.cell(method, task) for task in scores.tasks]
            mean = statistics.fmean(cell.mean for cell in cells if cell is not None)
            row.append(escaped(scores.metric.format(mean)))
    unchecked = {task for task in report.tasks if _unchecked(report, task)}
    tasks = [task + (" (unchecked)" if task in unchecked else "") for task in report.tasks]
    head = ["method", *tasks, *(["mean"] if averaged else [])]
    body = table(head, rows, scores.title) + paragraph(_legend(scores))
    if any(task.endswith(LEARNED_ON) for task in report.tasks):
        body += paragraph("Tasks of a meta-training: the metric of the last epoch.")
    if len(scores.seeds) > 1:
        body += folded("The score of every seed", _seeds(scores))
    return section("results", "Results", body)


def _row(scores: ScoreTable, method: str) -> list[str]:
    cells = (scores.cell(method, task) for task in scores.tasks)
    return [NOTHING if cell is None else _cell(scores, cell) for cell in cells]


def _cell(scores: ScoreTable, cell: Cell) -> str:
    before, after = _MARKS[cell.mark]
    said = before + escaped(shown(scores.metric, cell.mean, cell.std)) + after
    fewer = counted(scores, cell)
    return f"{said} <small>{fewer.strip()}</small>" if fewer else said


def _seeds(scores: ScoreTable) -> str:
    rows = []
    for method in scores.methods:
        for task in scores.tasks:
            cell = scores.cell(method, task)
            if cell is None:
                continue
            values = (cell.scores.get(seed) for seed in scores.seeds)
            said = [NOTHING if value is None else scores.metric.format(value) for value in values]
            rows.append([escaped(method), escaped(task), *said])
    return table(["method", "task", *(f"seed {seed}" for seed in scores.seeds)], rows)


def _legend(scores: ScoreTable) -> str:
    better = "Greater" if scores.metric.greater_is_better else "Smaller"
    number = len(scores.seeds)
    over = (
        f" Each score is the mean over {number} seeds ± the sample standard deviation."
        if number > 1
        else " One seed: how much of a difference is chance is not known."
    )
    unranked = (
        " Oracles know which targets are wrong and are not compared." if scores.unranked else ""
    )
    return f"{better} is better. {LEGEND}{over}{unranked}"


def _unchecked(report: Report, task: str) -> bool:
    return any(run.said("test_unchecked") for runs in report.on(task).values() for run in runs)
