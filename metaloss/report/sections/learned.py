"""The sections with what adjusters give the training samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from metaloss.adjusters import ScheduledAdjuster
from metaloss.checks import InputError
from metaloss.conditioners import Margin, Residual
from metaloss.diagnostics.figures.curves import draw_predictions
from metaloss.diagnostics.figures.distributions import (
    Spread,
    draw_histograms,
    spread_of_weights,
)
from metaloss.diagnostics.figures.drawing import WORDS, plain_text, symbol, told_by
from metaloss.diagnostics.figures.reading import evenly_spaced, learned
from metaloss.experiments.recorded_samples import Recorded, recorded
from metaloss.objective import AdjustedLoss
from metaloss.report.html import gallery, paragraph, picture, section
from metaloss.report.rows import Report, by_task
from metaloss.report.sources import Trained
from metaloss.report.svg import inline, panel

_TIMES = 3  # of the times at which samples were recorded
_DOTS = 1500  # samples drawn one by one: a page of all of a large data set would not open


class _Shown(NamedTuple):
    """The run of a method that is drawn: its first finished seed."""

    row: str
    run: Trained
    criterion: AdjustedLoss | None
    problem: str = ""


def ranges(report: Report, task: str) -> dict[str, tuple[float, float]]:
    """Return the whole range of each learned hyperparameter, over the methods on a task."""
    found: dict[str, tuple[float, float]] = {}
    for shown in _shown(report, task):
        for h in shown.criterion.loss.hyperparameters if shown.criterion else ():
            low, high = found.get(h.name, (h.low, h.high))
            found[h.name] = (min(low, h.low), max(high, h.high))
    return found


def curves(report: Report) -> str:
    """Return the section: hyperparameters over the margin at each snapshot (Fig. 7)."""
    body = by_task(report, lambda task: _all_curves(report, task))
    head = paragraph(
        "What the adjuster of the first seed predicts. Each axis is the hyperparameter's whole "
        "range, so that a flat curve is one that tells no samples apart. Below the curves is where "
        f"the samples are at the end of training: with right {report.targets} in blue, with wrong "
        "ones in red, where that is known."
    )
    return section("curves", "Learned hyperparameters", body and head + body)


def distributions(report: Report) -> str:
    """Return the section: hyperparameters and weights of right and wrong labels (Fig. 8, 9)."""
    body = by_task(
        report,
        lambda task: "".join(_distributions(report, shown) for shown in _shown(report, task)),
    )
    head = paragraph(
        "The training samples of the first seed. Each histogram shows shares of its own group. The "
        "weight is the factor by which a sample's loss scales the gradient of cross entropy."
        if report.targets == "labels"
        else "The training samples of the first seed. Each histogram shows shares of its own group."
    )
    return section("distributions", f"Right and wrong {report.targets} apart", body and head + body)


def _shown(report: Report, task: str) -> Iterator[_Shown]:
    for row, runs in report.on(task).items():
        run = runs[0]
        if not run.records.adjuster.is_dir():
            yield _Shown(row, run, None)
            continue
        try:
            yield _Shown(row, run, learned(run.records, report.components))
        except InputError as error:  # such as of a class of the user's own
            yield _Shown(row, run, None, f"{row}: its adjuster cannot be drawn: {error}")


def _times(run: Trained) -> list[Recorded]:
    """Return the samples at the first and the last recorded time, and one between them."""
    if not (run.records.path / "samples.safetensors").is_file():
        return []
    return evenly_spaced(recorded(run.records), _TIMES)


def _all_curves(report: Report, task: str) -> str:
    every = list(_shown(report, task))
    problems = "".join(paragraph(shown.problem) for shown in every if shown.problem)
    return problems + gallery(each for shown in every for each in _curves(shown))


def _curves(shown: _Shown) -> Iterator[str]:
    times = _times(shown.run)
    if shown.criterion is None or not times:
        return
    criterion, samples = shown.criterion, times[-1].samples
    if isinstance(criterion.conditioner, Margin | Residual):
        note = _snapshots(criterion)
    else:
        total = len(samples["hparams"])
        samples = _some(samples)
        note = f"{len(samples['hparams'])} of {total} samples at the end of training"
    over = WORDS[told_by(samples)][0]
    for column, h in enumerate(criterion.loss.hyperparameters):
        figure, axis = panel()
        draw_predictions(axis, criterion, column, samples, (h.default, "default"))
        axis.set(
            xlabel=over,
            ylabel=symbol(h.name),
            title=f"{plain_text(shown.row)}: {symbol(h.name)}",
        )
        what = f"{shown.row}: {h.name}, from {h.low:.3g} to {h.high:.3g}, over the {over}"
        said = f"{what}. {note}. Dotted: the loss's default, {h.default:.3g}."
        yield picture(inline(figure, said), said)


def _snapshots(criterion: AdjustedLoss) -> str:
    """Say when the curves were learned, which go from light to dark."""
    adjuster = criterion.adjuster
    if not isinstance(adjuster, ScheduledAdjuster):
        return "One curve, at the end of training"
    times = [f"{until:.0%}" for until in adjuster.until]
    return f"Curves at {', '.join(times)} of training, from light to dark"


def _some(samples: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return evenly spaced rows, few enough to be drawn one by one."""
    total = len(samples["hparams"])
    rows = torch.linspace(0, total - 1, min(total, _DOTS)).round().long()
    return {name: column[rows] for name, column in samples.items()}


def _distributions(report: Report, shown: _Shown) -> str:
    times = _times(shown.run)
    spreads = list(_spreads(shown, times)) if times else []
    return gallery(each for name, spread in spreads for each in _histograms(report, name, spread))


def _spreads(shown: _Shown, times: Sequence[Recorded]) -> Iterator[tuple[str, Spread]]:
    declared = shown.criterion.loss.hyperparameters if shown.criterion else ()
    for column, h in enumerate(declared):
        values = [time.samples["hparams"][:, column] for time in times]
        spread = Spread(shown.row, symbol(h.name), times, values, h.low, h.high, default=h.default)
        yield h.name, spread
    if all("weights" in time.samples for time in times):
        weights = [time.samples["weights"] for time in times]
        yield "weight", spread_of_weights(shown.row, "weight", times, weights)


def _histograms(report: Report, name: str, spread: Spread) -> Iterator[str]:
    """Draw the histograms of a quantity with one height, so that its times can be compared."""
    drawn = []
    for time, values in zip(spread.times, spread.values, strict=True):
        figure, axis = panel()
        draw_histograms(axis, spread, time, values)
        axis.set(ylabel="share", title=f"{plain_text(spread.method)}: {spread.label}")
        drawn.append((figure, axis, time, values))
    top = max(axis.get_ylim()[1] for _, axis, _, _ in drawn)
    for figure, axis, time, values in drawn:
        axis.set_ylim(0, top)
        axis.legend(frameon=False, fontsize="small")
        what = f"{spread.method}: {name}, epoch {time.epoch} of {time.epochs}"
        flipped = time.samples.get("flipped")
        means = (
            f"mean {float(values.mean()):.3g}"
            if flipped is None or not flipped.any() or flipped.all()
            else f"mean {float(values[~flipped].mean()):.3g} of right and "
            f"{float(values[flipped].mean()):.3g} of wrong {report.targets}"
        )
        yield picture(inline(figure, f"{what}: {means}"), f"{what}: {means}")
