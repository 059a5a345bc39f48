"""What all pictures share: colours, symbols, the legend below, and writing the file."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from metaloss.checks import require
from metaloss.files import user_path, write_atomically

# Told apart also by those who do not see red and green, and drawn with different lines or hatches.
CLEAN, FLIPPED = "#2f6f9f", "#c8553d"
PLAIN, FIXED, LEARNED = "#24333d", "#0072b2", "#d55e00"
_LIGHT, _DARK = 0.7, 0.15
_DPI = 150
_WIDTH = 10.5  # inches: 1575 pixels

WORDS = {"margin": ("margin in logits", "labels"), "residual": ("size of the residual", "values")}
"""By what samples are told apart: the axis, and what may be wrong."""

_SYMBOLS = {
    "q": "$q$",
    "gamma_1": r"$\gamma_1$",
    "gamma_2": r"$\gamma_2$",
    "lam": r"$\lambda$",
    "d": "$d$",
    "pi_1": r"$\pi_1$",
    "alpha": r"$\alpha$",
    "c": "$c$",
}


class Group(NamedTuple):
    """Some of the samples, and how they are drawn.

    Attributes:
        members: which ones, ``[samples]``.
        colour: their colour.
        label: their entry in the legend.
        style: more arguments of a histogram of them.
    """

    members: Tensor
    colour: str
    label: str
    style: Mapping[str, Any]


def groups(samples: Mapping[str, Tensor]) -> list[Group]:
    """Return the samples with right and with wrong labels, or all if that is not known.

    A group of none is left out.

    Args:
        samples: what :func:`~metaloss.experiments.collect` returns, and ``flipped`` if known.
    """
    told = samples[told_by(samples)]
    what = WORDS[told_by(samples)][1]
    flipped = samples.get("flipped")
    if flipped is None:
        every = torch.ones(len(told), dtype=torch.bool)
        return [Group(every, CLEAN, "samples", {"alpha": 0.6})]
    outlined = {"histtype": "step", "linewidth": 1.4, "hatch": "////"}
    found = [
        Group(~flipped, CLEAN, f"right {what}", {"alpha": 0.6}),
        Group(flipped, FLIPPED, f"wrong {what}", outlined),
    ]
    return [group for group in found if group.members.any()]


def told_by(samples: Mapping[str, Tensor]) -> str:
    """Return which column tells easy samples from hard ones: the margin, or the residual."""
    return "margin" if "margin" in samples else "residual"


def symbol(name: str) -> str:
    r"""Return the paper's symbol for a hyperparameter, or its name.

    Example:
        >>> from metaloss.diagnostics.figures.drawing import symbol
        >>> symbol("lam"), symbol("weight")
        ('$\\lambda$', 'weight')
    """
    return _SYMBOLS.get(name, plain_text(name))


def plain_text(name: str) -> str:
    """Return a name as it is written: a pair of dollars would be taken for mathematics."""
    return name.replace("$", r"\$")


def shades(count: int) -> list[str]:
    """Return greys from light to dark, one for each snapshot; a single one is dark.

    Example:
        >>> from metaloss.diagnostics.figures.drawing import shades
        >>> shades(2)
        ['0.7', '0.15']
    """
    return [f"{shade:.4g}" for shade in np.linspace(_DARK, _LIGHT, count)[::-1]]


def limits(low: float, high: float) -> tuple[float, float]:
    """Return the limits of an axis that shows a whole range, and a little more."""
    room = 0.03 * (high - low)
    return low - room, high + room


def panels(count: int, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    """Return a figure with so many panels, and the panels row by row; heights are in inches."""
    rows = -(-count // columns)
    # A single panel as wide as the picture would be all width.
    width = _WIDTH if columns > 1 else 0.7 * _WIDTH
    figure = Figure(figsize=(width, height * rows + 0.5), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in axes[count:]:
        unused.remove()
    for axis in axes[:count]:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes[:count]


def legend_below(figure: Figure, *, markerscale: float = 3, fontsize: str = "medium") -> None:
    """Draw one legend for all panels below them, with an entry for each label."""
    found: dict[str, Any] = {}
    for axis in figure.axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    room = int(12 * figure.get_figwidth())  # letters in a line, with those that a handle takes
    widths = [len(label) + 8 for label in found]
    columns = len(found) if sum(widths) <= room else max(1, room // max(widths))
    figure.legend(
        list(found.values()),
        list(found),
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        markerscale=markerscale,
        fontsize=fontsize,
    )


def save(figure: Figure, path: str | Path) -> None:
    """Write a picture, whole or not at all.

    Args:
        figure: what to write.
        path: the picture's, with an ending that matplotlib knows, such as .png, .svg or .pdf.

    Raises:
        InputError: Matplotlib does not know the ending.
    """
    ending = Path(path).suffix.removeprefix(".").lower()
    known = figure.canvas.get_supported_filetypes()
    require(
        ending in known,
        f"{path}: expected the name of a picture that ends in .png, .svg or .pdf, got "
        f"{'.' + ending if ending else 'no ending'}",
    )
    undated = {"Date": None} if ending == "svg" else None
    with mpl.rc_context({"svg.hashsalt": "metaloss"}):  # else its ids are random
        drawn = rendered(figure, dpi=_DPI, format=ending, metadata=undated)
    write_atomically(user_path(path), drawn)


def rendered(figure: Figure, **how: Any) -> bytes:
    """Return the content of a picture's file; ``how`` is what ``Figure.savefig`` takes."""
    drawn = io.BytesIO()
    with warnings.catch_warnings():  # letters that no font has are boxes
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(drawn, **how)
    return drawn.getvalue()
