"""Figure 9: distributions of sample weights over training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from metaloss.checks import require
from metaloss.diagnostics.figures.distributions import (
    Spread,
    draw_spreads,
    spread_of_weights,
)
from metaloss.diagnostics.figures.drawing import save
from metaloss.diagnostics.figures.reading import column_of, method_of, over_training
from metaloss.experiments.records.run_records import RunRecords


def draw_figure9(runs: Sequence[RunRecords], path: str | Path) -> Figure:
    """Draw Figure 9: sample weights of right and wrong labels at the recorded times.

    A row is a run, a column a time; of more than five times, five are shown. The weight of a sample
    is the factor by which its loss scales the gradient of cross entropy:
    :func:`~metaloss.losses.gradient_weight`. Its axis goes from 0 to 1, or as far as the weights of
    the run do.

    Args:
        runs: finished runs that recorded their samples over training, such as those of A-PolySoft
            and Meta-Weight-Net.
        path: the picture's, which ends in .png, .svg or .pdf.

    Returns:
        The figure, as written.

    Raises:
        InputError: There is no run, a run is not finished or recorded its samples at its end alone,
            or matplotlib does not know the ending of ``path``.

    References:
        The paper, Section 4.3 and Figure 9.
    """
    require(len(runs) > 0, "runs: expected one or more, got none")
    figure = draw_spreads([_spread(records) for records in runs])
    save(figure, path)
    return figure


def _spread(records: RunRecords) -> Spread:
    times = over_training(records)
    weights = [column_of(records, time.samples, "weights") for time in times]
    return spread_of_weights(method_of(records), "weight of the sample", times, weights)
