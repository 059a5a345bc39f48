"""Pictures of what an adjuster has learned (Fig. 7 and 8)."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from metaloss.adjusters import ScheduledAdjuster
from metaloss.conditioners import Margin, Residual
from metaloss.files import user_path, write_atomically
from metaloss.objective import AdjustedLoss

CLEAN, FLIPPED, SHADES = "#2f6f9f", "#c8553d", ("#b9c4cc", "#7f929e", "#24333d")


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
        return "margin" if "margin" in self.samples else "residual"


WORDS = {"margin": ("margin in logits", "labels"), "residual": ("size of the residual", "values")}


def draw_learned(learned: Sequence[Learned], path: str | Path) -> None:
    """One row a hyperparameter: its curve over the margin, and its spread over the samples.

    For regression, the size of the residual takes the margin's place. The curve (Fig. 7) is drawn
    for each snapshot where that is all that the adjuster reads, else its place shows the samples
    themselves. The spread (Fig. 8) is drawn for right and wrong labels apart where it is known
    which are which.

    Args:
        learned: what to draw.
        path: the picture's, with an ending that matplotlib knows.
    """
    rows = [(item, k) for item in learned for k in range(item.samples["hparams"].shape[1])]
    figure = Figure(figsize=(10, 3.1 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 2, squeeze=False)
    if any(item.unchecked for item in learned):
        figure.suptitle(f"by unchecked {WORDS[learned[0].told][1]}")
    for (item, column), (left, right) in zip(rows, axes, strict=True):
        name = item.criterion.loss.hyperparameters[column].name
        if isinstance(item.criterion.conditioner, Margin | Residual):
            _curves(left, item, column)
        else:
            _points(left, item, column)
        _spread(right, item, column)
        method = item.name.replace("$", r"\$")  # a pair of them would be taken for mathematics
        left.set(xlabel=WORDS[item.told][0], ylabel=name, title=f"{method}: {name} by {item.told}")
        right.set(xlabel=name, ylabel="density", title=f"{method}: {name} of the samples")
        for axis in (left, right):
            axis.spines[["top", "right"]].set_visible(False)
            axis.legend(frameon=False, fontsize="small")
    drawn = io.BytesIO()
    with warnings.catch_warnings():  # letters that no font has are boxes
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(drawn, dpi=140, format=Path(path).suffix.removeprefix(".") or None)
    write_atomically(user_path(path), drawn.getvalue())


def _curves(axis: Axes, item: Learned, column: int) -> None:
    hyperparameter = item.criterion.loss.hyperparameters[column]
    told = item.samples[item.told]
    low, high = torch.quantile(told, torch.tensor([0.005, 0.995])).tolist()
    grid = torch.linspace(low, high, 200).unsqueeze(1)
    adjuster = item.criterion.adjuster
    snapshots = (
        list(zip(adjuster.until, adjuster.adjusters, strict=True))
        if isinstance(adjuster, ScheduledAdjuster)
        else [(1.0, adjuster)]
    )
    shades = SHADES[-len(snapshots) :] if len(snapshots) <= len(SHADES) else [SHADES[-1]] * 99
    with torch.no_grad():
        for (until, snapshot), shade in zip(snapshots, shades, strict=False):
            values = snapshot(grid)[:, column]
            axis.plot(grid[:, 0], values, color=shade, label=f"learned, at {until:.0%} of training")
    axis.axhline(
        hyperparameter.default, color="black", linestyle=":", linewidth=1, label="fixed default"
    )
    axis.set_ylim(*_limits(hyperparameter.low, hyperparameter.high))
    _rug(axis, item)


def _rug(axis: Axes, item: Learned) -> None:
    """Where the samples are, along the lower edge."""
    density = axis.twinx()
    for samples, colour, label in _groups(item):
        density.hist(
            item.samples[item.told][samples], bins=60, color=colour, alpha=0.25, label=label
        )
    density.set_yticks([])
    density.set_ylim(0, density.get_ylim()[1] * 3)
    density.spines[:].set_visible(False)


def _points(axis: Axes, item: Learned, column: int) -> None:
    for samples, colour, label in _groups(item):
        axis.scatter(
            item.samples[item.told][samples],
            item.samples["hparams"][samples, column],
            s=4,
            alpha=0.3,
            color=colour,
            label=label,
        )


def _spread(axis: Axes, item: Learned, column: int) -> None:
    hyperparameter = item.criterion.loss.hyperparameters[column]
    # Rounding may put a value just outside its range, where no bin would count it.
    values = item.samples["hparams"][:, column].clamp(hyperparameter.low, hyperparameter.high)
    bins = torch.linspace(hyperparameter.low, hyperparameter.high, 41).tolist()
    for samples, colour, label in _groups(item):
        axis.hist(values[samples], bins=bins, density=True, color=colour, alpha=0.6, label=label)


def _groups(item: Learned) -> list[tuple[Tensor, str, str]]:
    flipped = item.samples.get("flipped")
    if flipped is None:
        return [(torch.ones(len(item.samples[item.told]), dtype=torch.bool), CLEAN, "samples")]
    what = WORDS[item.told][1]
    groups = [(~flipped, CLEAN, f"right {what}"), (flipped, FLIPPED, f"wrong {what}")]
    return [group for group in groups if group[0].any()]  # a group of none has no density


def _limits(low: float, high: float) -> tuple[float, float]:
    room = 0.03 * (high - low)
    return low - room, high + room
