"""The section with the test samples by true class and prediction."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from metaloss.experiments import Confusion, read_confusion
from metaloss.report.html import bullets, escaped, folded, paragraph, section
from metaloss.report.rows import Report, by_task
from metaloss.report.sources import Trained

WIDEST = 20
"""The number of classes up to which the whole matrix is shown."""

MOST = 20
"""The number of confusions that are listed otherwise."""

# Colours of right and wrong predictions. The strongest shade still leaves the number readable, in
# the ink of both themes.
_RIGHT, _WRONG, _STRONGEST = "0 114 178", "213 94 0", 0.62


class _Shown(NamedTuple):
    """A method on a task, with the counts of its seeds."""

    row: str
    confusion: Confusion
    seeds: int
    learned: bool


def confusions(report: Report) -> str:
    """Return the section: for each method, what the samples of each class are taken for."""
    body = by_task(report, lambda task: _on(report, task))
    head = paragraph(
        "The test samples after the last epoch, those of all seeds together: a row for each true "
        "class, a column for each prediction. A number is the percentage of its row; right "
        "predictions are blue, confusions are orange. Counts are shown where the pointer rests on "
        "a cell."
        if '<table class="confusion">' in body
        else "The test samples after the last epoch, those of all seeds together."
    )
    return section("confusion", "Confusions on test samples", body and head + body)


def _on(report: Report, task: str) -> str:
    every = list(_shown(report, task))
    opened = next((each for each in every if each.learned), every[0] if every else None)
    parts = []
    for each in every:
        many = len(each.confusion.classes) > WIDEST
        body = _list(each.confusion) if many else _matrix(each)
        parts.append(folded(_title(each), body, opened=each is opened))
    runs = [run for runs in report.on(task).values() for run in runs]
    if parts and any(run.said("test_unchecked") for run in runs):
        unchecked = (
            "Nobody checked the labels of these test samples: where a prediction differs, the "
            "label may be what is wrong."
        )
        parts.insert(0, paragraph(unchecked))
    return "".join(parts)


def _shown(report: Report, task: str) -> Iterator[_Shown]:
    for row, runs in report.on(task).items():
        found = [each for run in runs if (each := _of(run)) is not None]
        # Seeds of folders that were made from Python may have other classes.
        same = [each for each in found if each.classes == found[0].classes]
        if same:
            counts = sum((each.counts for each in same[1:]), start=same[0].counts)
            learned = runs[0].records.adjuster.is_dir()
            yield _Shown(row, Confusion(same[0].classes, counts), len(same), learned)


def _of(run: Trained) -> Confusion | None:
    return None if "tasks" in run.result else read_confusion(run.records)


def _title(shown: _Shown) -> str:
    counts = shown.confusion.counts
    total, right = int(counts.sum()), int(counts.trace())
    seeds = f", {shown.seeds} seeds" if shown.seeds > 1 else ""
    return f"{shown.row}: {total - right} of {total} wrong{seeds}"


def _matrix(shown: _Shown) -> str:
    classes, counts = shown.confusion.classes, shown.confusion.counts.tolist()
    rows = []
    totals = [sum(line) for line in counts]
    for i, (name, line) in enumerate(zip(classes, counts, strict=True)):
        cells = [_cell(classes, i, j, count, totals) for j, count in enumerate(line)]
        rows.append(f'<tr><th scope="row">{escaped(name)}</th>{"".join(cells)}</tr>')
    upright = max(map(len, classes)) <= 3
    head = "".join(_heading(name, upright=upright) for name in classes)
    label = escaped(f"Confusions of {shown.row}")
    lines = "\n".join(rows)
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{label}">'
        '<table class="confusion">\n<thead><tr><th scope="col">true class</th>'
        f"{head}</tr></thead>\n<tbody>\n{lines}\n</tbody></table></div>"
    )


def _heading(name: str, *, upright: bool) -> str:
    said = escaped(_short(name))
    said = said if upright else f"<span>{said}</span>"
    return f'<th scope="col" title="predicted: {escaped(name)}">{said}</th>'


def _cell(
    classes: Sequence[str], true: int, predicted: int, count: int, totals: Sequence[int]
) -> str:
    if count == 0:
        return "<td></td>"
    share = count / totals[true]
    colour = _RIGHT if true == predicted else _WRONG
    # The root tells small shares apart, and those are what confusions are.
    shade = f"rgb({colour}/{_STRONGEST * math.sqrt(share):.2f})"
    said = escaped(_said(classes, true, predicted, count, totals))
    return f'<td style="background:{shade}" title="{said}">{_percent(share)}</td>'


def _percent(share: float) -> str:
    """Return a percentage without its sign; what is there is never shown as 0, nor all as less."""
    whole = round(100 * share)
    return "&lt;1" if whole == 0 else "&gt;99" if whole == 100 and share < 1 else str(whole)


def _list(confusion: Confusion) -> str:
    classes, counts = confusion.classes, confusion.counts
    totals = counts.sum(dim=1).tolist()
    wrong = counts.clone().fill_diagonal_(0).flatten()
    values, cells = wrong.sort(descending=True, stable=True)
    lines = []
    for count, cell in zip(values[:MOST].tolist(), cells[:MOST].tolist(), strict=True):
        if count:
            true, predicted = divmod(cell, len(classes))
            lines.append(_said(classes, true, predicted, count, totals))
    if not lines:
        return paragraph("No test sample was taken for another class.")
    head = paragraph(f"The most frequent confusions of {len(classes)} classes:")
    return head + bullets(lines)


def _said(
    classes: Sequence[str], true: int, predicted: int, count: int, totals: Sequence[int]
) -> str:
    share = count / totals[true]
    return (
        f"{classes[true]}, predicted {classes[predicted]}: {count} of {totals[true]} ({share:.1%})"
    )


def _short(name: str) -> str:
    words = " ".join(name.split())
    return words if len(words) <= 18 else f"{words[:17]}…"
