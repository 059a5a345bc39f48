"""Distributions over the training samples at several times of training (Fig. 8 and 9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from metaloss.diagnostics.figures.drawing import (
    groups,
    legend_below,
    limits,
    panels,
    plain_text,
)
from metaloss.experiments.recorded_samples import Recorded

_BINS = 40


class Spread(NamedTuple):
    """A quantity of each sample over training: a row of the figure.

    Attributes:
        method: the method's name.
        label: the quantity's, on its axis.
        times: the samples at each time.
        values: the quantity at each time, ``[samples]``.
        low: the lower end of its range.
        high: the upper end.
        log: whether its axis is logarithmic.
        default: the value of the conventional loss, drawn as a dotted line.
    """

    method: str
    label: str
    times: Sequence[Recorded]
    values: Sequence[Tensor]
    low: float
    high: float
    log: bool = False
    default: float | None = None


def spread_of_weights(
    method: str, label: str, times: Sequence[Recorded], weights: Sequence[Tensor]
) -> Spread:
    """Return the spread of sample weights, whose range is 0 to 1, or as far as the weights go."""
    low = min(0.0, *(float(each.min()) for each in weights))
    high = max(1.0, *(float(each.max()) for each in weights))
    return Spread(method, label, times, weights, low, high)


def draw_spreads(spreads: Sequence[Spread]) -> Figure:
    """Draw histograms: a row a quantity, a column a time, right and wrong labels apart.

    Each histogram shows shares of its own group. A row has one range and one height, so that its
    times can be compared. Values outside of the range are counted in the outer bins.
    """
    columns = max(len(spread.times) for spread in spreads)
    figure, every = panels(columns * len(spreads), columns, 2.4)
    for row, spread in enumerate(spreads):
        axes = every[row * columns : (row + 1) * columns]
        for unused in axes[len(spread.times) :]:
            unused.remove()
        axes = axes[: len(spread.times)]
        for axis, time, values in zip(axes, spread.times, spread.values, strict=True):
            draw_histograms(axis, spread, time, values)
        top = max(axis.get_ylim()[1] for axis in axes)
        for axis in axes:
            axis.set_ylim(0, top)
        axes[0].set_ylabel("share of samples")
    legend_below(figure)
    return figure


def draw_histograms(axis: Axes, spread: Spread, time: Recorded, values: Tensor) -> None:
    """Draw the histograms of one time."""
    space = np.geomspace if spread.log else np.linspace
    bins = space(spread.low, spread.high, _BINS + 1).tolist()
    inside = values.double().clamp(bins[0], bins[-1])
    for members, colour, label, style in groups(time.samples):
        share = torch.full((int(members.sum()),), 1 / int(members.sum()))
        axis.hist(inside[members], bins=bins, weights=share, color=colour, label=label, **style)
    if spread.default is not None:
        axis.axvline(spread.default, color="black", linestyle=":", linewidth=1.2, label="default")
    if spread.log:
        axis.set_xscale("log")
    axis.set_xlim(*((spread.low, spread.high) if spread.log else limits(spread.low, spread.high)))
    method = plain_text(spread.method)
    axis.set(xlabel=spread.label, title=f"{method}, epoch {time.epoch} of {time.epochs}")
