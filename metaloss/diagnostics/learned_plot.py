"""Pictures of what an adjuster has learned (Fig. 7 and 8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from metaloss.diagnostics.figures.curves import draw_predictions
from metaloss.diagnostics.figures.drawing import (
    WORDS,
    groups,
    legend_below,
    panels,
    plain_text,
    save,
    symbol,
    told_by,
)
from metaloss.objective import AdjustedLoss

_IN_ONE_COLUMN = 2  # hyperparameters; of more, two stand side by side


class Learned(NamedTuple):
    """A learned criterion and what it makes of its training samples.

    Attributes:
        name: the method's.
        criterion: with its snapshots.
        samples: ``margin`` or for regression ``residual``, ``hparams`` and, where it is known,
            ``flipped``, one row a sample.
        unchecked: whether its data's own labels, before any noise was made, are known to nobody.
    """

    name: str
    criterion: AdjustedLoss
    samples: Mapping[str, Tensor]
    unchecked: bool = False

    @property
    def told(self) -> str:
        """Which column the curves are drawn over."""
        return told_by(self.samples)


def draw_learned(learned: Sequence[Learned], path: str | Path) -> Figure:
    """Two panels a hyperparameter: its curve over the margin, and its spread over the samples.

    For regression, the size of the residual takes the margin's place. The curve (Fig. 7) is drawn
    for each snapshot where that is all that the adjuster reads, else its place shows the samples
    themselves. The spread (Fig. 8) is drawn for right and wrong labels apart where it is known
    which are which.

    Args:
        learned: what to draw.
        path: the picture's, with an ending that matplotlib knows.

    Returns:
        The figure, as written.
    """
    pairs = [(item, k) for item in learned for k in range(item.samples["hparams"].shape[1])]
    figure, axes = panels(2 * len(pairs), 2 if len(pairs) <= _IN_ONE_COLUMN else 4, 2.8)
    if any(item.unchecked for item in learned):
        figure.suptitle(f"by unchecked {WORDS[learned[0].told][1]}")
    for (item, column), left, right in zip(pairs, axes[::2], axes[1::2], strict=True):
        hyperparameter = item.criterion.loss.hyperparameters[column]
        default = (hyperparameter.default, "fixed default")
        draw_predictions(left, item.criterion, column, item.samples, default)
        _spread(right, item, column)
        name, method = symbol(hyperparameter.name), plain_text(item.name)
        left.set(xlabel=WORDS[item.told][0], ylabel=name, title=f"{method}:\n{name} by {item.told}")
        right.set(xlabel=name, ylabel="density", title=f"{method}:\n{name} of the samples")
    legend_below(figure)
    save(figure, path)
    return figure


def _spread(axis: Axes, item: Learned, column: int) -> None:
    hyperparameter = item.criterion.loss.hyperparameters[column]
    # Rounding may put a value just outside its range, where no bin would count it.
    values = item.samples["hparams"][:, column].clamp(hyperparameter.low, hyperparameter.high)
    bins = torch.linspace(hyperparameter.low, hyperparameter.high, 41).tolist()
    for members, colour, label, _ in groups(item.samples):
        axis.hist(values[members], bins=bins, density=True, color=colour, alpha=0.6, label=label)
