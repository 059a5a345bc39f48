"""A metric over the epochs, a line a method."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from metaloss.diagnostics.figures.drawing import limits
from metaloss.report.html import escaped, picture
from metaloss.report.rows import Report
from metaloss.report.sources import Trained
from metaloss.report.svg import SERIES, inline, panel

# Colours of Okabe and Ito, told apart also by those who do not see red and green.
_COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#24333d",
    "#e69f00",
    "#56b4e9",
    "#8c510a",
)
_DASHES = ("-", "--", ":", "-.")
_STROKES = ("none", "6 3", "2 3", "6 3 2 3")


class Chart(NamedTuple):
    """A panel: a metric over the epochs.

    Attributes:
        key: the metric's name in ``metrics.jsonl``.
        title: the panel's title.
        label: the axis of the metric.
        low: where its axis begins; ``None`` to fit the lines.
        high: where it ends.
        symbol: what the picture has in the place of ``label``, as mathematics.
    """

    key: str
    title: str
    label: str
    low: float | None = None
    high: float | None = None
    symbol: str = ""


def over_seeds(runs: Sequence[Trained], key: str) -> dict[int, list[float]]:
    """Return the values of all seeds, for each epoch that every run with the metric has."""
    found = [values for run in runs if (values := run.over_epochs(key))]
    common = set(found[0]).intersection(*found) if found else set()
    return {epoch: [values[epoch] for values in found] for epoch in sorted(common)}


def chart(report: Report, task: str, drawn: Chart) -> str:
    """Return a chart of all methods on a task; nothing if none of them has the metric.

    The line is the mean over seeds. The band around it is one sample standard deviation.
    """
    figure, axis = panel()
    ends = []
    runs = report.on(task)
    for number, row in enumerate(report.rows):
        values = over_seeds(runs.get(row, ()), drawn.key)
        if values:
            _line(axis, number, values)
            last = statistics.fmean(values[max(values)])
            ends.append(f"{row} {last:.4g}")
    if not ends:
        return ""
    heading = (
        f"{drawn.symbol}{drawn.title.removeprefix(drawn.label)}" if drawn.symbol else drawn.title
    )
    axis.set(xlabel="epoch", ylabel=drawn.symbol or drawn.label, title=heading)
    if drawn.low is not None and drawn.high is not None:
        axis.set_ylim(*limits(drawn.low, drawn.high))
    elif drawn.low is not None:
        axis.set_ylim(bottom=drawn.low)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(axis="y", color="#dfe4e8", linewidth=0.8)
    label = f"{drawn.title}, {task}, over the epochs. At the end: {'; '.join(ends)}."
    # More numbers than these are easier to find in the picture.
    short = f"After the last epoch: {'; '.join(ends)}" if len(ends) <= 4 else ""
    return picture(inline(figure, label), short)


def _line(axis: Axes, number: int, values: Mapping[int, Sequence[float]]) -> None:
    epochs = list(values)
    means = [statistics.fmean(each) for each in values.values()]
    colour, dashes = colour_of(number), _DASHES[number // len(_COLOURS) % len(_DASHES)]
    name = f"{SERIES}{number}"
    if len(values[epochs[0]]) > 1:
        spreads = [statistics.stdev(each) for each in values.values()]
        below = [mean - spread for mean, spread in zip(means, spreads, strict=True)]
        above = [mean + spread for mean, spread in zip(means, spreads, strict=True)]
        band = axis.fill_between(epochs, below, above, color=colour, alpha=0.15, linewidth=0)
        band.set_gid(name)
    # A line of few points would hardly be seen.
    marker = "o" if len(epochs) < 4 else None
    axis.plot(
        epochs,
        means,
        color=colour,
        linestyle=dashes,
        linewidth=1.8,
        marker=marker,
        markersize=4,
        gid=name,
    )


def colour_of(number: int) -> str:
    """Return the colour of a row of the table."""
    return _COLOURS[number % len(_COLOURS)]


def legend(report: Report, *, first: bool) -> str:
    """Return the names of the lines with their colours; choosing one hides or shows its line.

    The first legend of the page has the boxes to tick.
    """
    entries = []
    for number, row in enumerate(report.rows):
        stroke = _STROKES[number // len(_COLOURS) % len(_STROKES)]
        swatch = (
            f'<svg class="swatch" viewBox="0 0 28 10" aria-hidden="true"><path d="M0 5H28" '
            f'stroke="{colour_of(number)}" stroke-dasharray="{stroke}" stroke-width="3"/></svg>'
        )
        box = f'<input type="checkbox" id="show-{number}" checked>' if first else ""
        name = f'<label for="show-{number}">{swatch}{escaped(row)}</label>'
        entries.append(f"<span>{box}{name}</span>")
    said = "<legend>Lines shown in the charts</legend>" if first else ""
    tag = "fieldset" if first else "div"
    return f'<{tag} class="legend">{said}{"".join(entries)}</{tag}>'


def hiding(report: Report) -> str:
    """Return the rules of style by which an unticked box hides its lines, without a script."""
    rules = []
    for number in range(len(report.rows)):
        off = f"body:has(#show-{number}:not(:checked))"
        rules.append(f"{off} .{SERIES}{number}{{display:none}}")
        rules.append(f'{off} label[for="show-{number}"]{{opacity:.45}}')
    return "\n".join(rules)
