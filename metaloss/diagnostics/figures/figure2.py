"""Figure 2: cross entropy, robust losses, and the same with an oracle's hyperparameters."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metaloss.checks import is_number, require
from metaloss.diagnostics.figures.drawing import (
    FIXED,
    LEARNED,
    PLAIN,
    legend_below,
    panels,
    plain_text,
    save,
)

Table = Mapping[str, Mapping[str, Sequence[float]]]
"""Method, then noise, then a value for each seed."""

_ROLES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("cross entropy", {"color": PLAIN, "alpha": 0.45}),
    ("robust loss, fixed", {"color": FIXED}),
    ("robust loss, oracle", {"color": LEARNED, "hatch": "///", "edgecolor": "white"}),
)
_BAR = 0.27


def draw_figure2(
    table: Table,
    path: str | Path,
    losses: Mapping[str, tuple[str, str, str]] | None = None,
) -> Figure:
    """Draw Figure 2: bars of cross entropy, a robust loss and its oracle, a panel a loss.

    A bar is the mean over seeds, the line on it their standard deviation. All panels have one axis,
    which begins at 0.

    Args:
        table: by method, then by noise, a value for each seed.
        path: the picture's, which ends in .png, .svg or .pdf.
        losses: by the panel's title the names of three methods in the table: cross entropy, the
            robust loss, and its oracle. Without, there is a panel for each name ``"oracle X"`` in
            the table, with the methods ``"CE"`` and ``"X"``.

    Returns:
        The figure, as written.

    Raises:
        InputError: A method is not in the table, it lacks a noise of the others or a value, or
            matplotlib does not know the ending of ``path``.

    Example:
        >>> import tempfile
        >>> from metaloss.diagnostics.figures import draw_figure2
        >>> table = {
        ...     "CE": {"40% symmetric": [68.2, 67.9]},
        ...     "GCE": {"40% symmetric": [86.1, 86.4]},
        ...     "oracle GCE": {"40% symmetric": [89.0, 89.3]},
        ... }
        >>> figure = draw_figure2(table, tempfile.mkdtemp() + "/figure2.png")
        >>> [round(bar.get_height(), 2) for bar in figure.axes[0].patches]
        [68.05, 86.25, 89.15]

    References:
        The paper, Section 2.4 and Figure 2.
    """
    losses = _by_name(table) if losses is None else losses
    require(
        len(losses) > 0,
        "table: expected methods named 'oracle X' beside 'X' and 'CE' to draw, got "
        f"{', '.join(table) or 'none'}",
    )
    noises = _check(table, losses)
    figure, axes = panels(len(losses), min(len(losses), 2), 3.1)
    for axis, (title, methods) in zip(axes, losses.items(), strict=True):
        for place, (method, (label, style)) in enumerate(zip(methods, _ROLES, strict=True)):
            _bars(axis, [table[method][noise] for noise in noises], place, label, style)
        axis.set_title(plain_text(title))
        axis.set_xticks(range(len(noises)), [_wrapped(noise, len(noises)) for noise in noises])
        axis.set_ylabel("test accuracy (%)")
    highest = max(axis.get_ylim()[1] for axis in axes)
    for axis in axes:
        axis.set_ylim(0, highest)
    legend_below(figure)
    save(figure, path)
    return figure


def _wrapped(noise: str, noises: int) -> str:
    """Return the name of a noise in lines that do not reach its neighbours'."""
    return textwrap.fill(plain_text(noise), max(6, 48 // noises))


def _by_name(table: Table) -> dict[str, tuple[str, str, str]]:
    names = [name.removeprefix("oracle ") for name in table if name.startswith("oracle ")]
    return {name: ("CE", name, f"oracle {name}") for name in names}


def _check(table: Table, losses: Mapping[str, tuple[str, str, str]]) -> list[str]:
    """Return the noises, after a check that each method to draw has values for each of them."""
    methods = [method for three in losses.values() for method in three]
    for method in methods:
        require(method in table, f"table: expected {method}, got {', '.join(table)}")
    noises = list(table[methods[0]])
    require(len(noises) > 0, f"table: expected noises of {methods[0]}, got none")
    for method in methods:
        for noise in noises:
            values = table[method].get(noise, ())
            require(
                len(values) > 0 and all(is_number(value) for value in values),
                f"table: expected a number for each seed of {method} with {noise}, got "
                f"{list(values)!r}",
            )
    return noises


def _bars(
    axis: Axes,
    values: Sequence[Sequence[float]],
    place: int,
    label: str,
    style: Mapping[str, Any],
) -> None:
    means = [statistics.fmean(each) for each in values]
    spreads = [statistics.stdev(each) if len(each) > 1 else 0.0 for each in values]
    middles = [k + (place - 1) * _BAR for k in range(len(values))]
    axis.bar(
        middles,
        means,
        _BAR * 0.94,
        yerr=spreads if any(spreads) else None,
        capsize=3,
        label=label,
        **style,
    )
    for x, mean, spread in zip(middles, means, spreads, strict=True):
        axis.annotate(
            f"{mean:.1f}",
            (x, mean + spread),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize="x-small",
        )
