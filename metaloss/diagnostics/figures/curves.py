"""A hyperparameter against the margin, for each snapshot of an adjuster (Fig. 7)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from metaloss.adjusters import ScheduledAdjuster
from metaloss.conditioners import Margin, Residual
from metaloss.diagnostics.figures.drawing import groups, limits, shades, told_by
from metaloss.objective import AdjustedLoss


def draw_predictions(
    axis: Axes,
    criterion: AdjustedLoss,
    column: int,
    samples: Mapping[str, Tensor],
    fixed: tuple[float, str],
) -> None:
    """Draw a hyperparameter over the margin, or over the residual's size in regression.

    Where the adjuster reads nothing else, that is a curve for each snapshot, with a histogram of
    the samples below. Otherwise it is the samples themselves. The axis of the hyperparameter is its
    whole range.

    A dotted line is ``fixed``: the value of the conventional loss, and its entry in the legend.
    """
    hyperparameter = criterion.loss.hyperparameters[column]
    if isinstance(criterion.conditioner, Margin | Residual):
        _curves(axis, criterion, column, samples)
    else:
        for members, colour, label, _ in groups(samples):
            axis.scatter(
                samples[told_by(samples)][members],
                samples["hparams"][members, column],
                s=4,
                alpha=0.3,
                color=colour,
                label=label,
                rasterized=True,  # a mark for each of 50,000 samples would make a file of megabytes
            )
    value, label = fixed
    axis.axhline(value, color="black", linestyle=":", linewidth=1.2, label=label)
    axis.set_ylim(*limits(hyperparameter.low, hyperparameter.high))
    if isinstance(criterion.conditioner, Margin | Residual):
        _rug(axis, samples)


def _curves(
    axis: Axes, criterion: AdjustedLoss, column: int, samples: Mapping[str, Tensor]
) -> None:
    low, high = np.quantile(samples[told_by(samples)].numpy(), [0.005, 0.995])
    grid = torch.linspace(float(low), float(high), 200).unsqueeze(1)
    adjuster = criterion.adjuster
    snapshots = (
        list(zip(adjuster.until, adjuster.adjusters, strict=True))
        if isinstance(adjuster, ScheduledAdjuster)
        else [(1.0, adjuster)]
    )
    with torch.no_grad():
        for (until, snapshot), shade in zip(snapshots, shades(len(snapshots)), strict=True):
            values = snapshot(grid)[:, column]
            label = f"learned, at {until:.0%} of training"
            axis.plot(grid[:, 0], values, color=shade, linewidth=1.8, label=label)


def _rug(axis: Axes, samples: Mapping[str, Tensor]) -> None:
    """Draw where the samples are, along the lower edge."""
    density = axis.twinx()
    axis.set_zorder(density.get_zorder() + 1)  # the curves in front
    axis.patch.set_visible(False)
    for members, colour, label, _ in groups(samples):
        told = samples[told_by(samples)][members]
        density.hist(told, bins=60, color=colour, alpha=0.25, label=label)
    density.set_yticks([])
    density.set_ylim(0, density.get_ylim()[1] * 3)
    density.spines[:].set_visible(False)
