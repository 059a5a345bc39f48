"""Figure 3: the coefficients of the bounds against the number of classes."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from metaloss.diagnostics.figures.drawing import panels, save
from metaloss.losses import GCE, JS, LossFamily
from metaloss.theory import coefficient, oracle_coefficient

CLASSES = [2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 64, 80, 100]
SHADES = ("#0072b2", "#009e73", "#e69f00", "#d55e00")
PANELS: list[tuple[str, LossFamily, str, str, tuple[float, ...]]] = [
    ("GCE", GCE(), "q", "$q$", (0.3, 0.5, 0.7, 0.9)),
    ("JS", JS(), "pi_1", r"$\pi_1$", (0.1, 0.5, 0.9, 0.999)),
]


def draw_figure3(path: str | Path) -> Figure:
    """Draw Figure 3: coefficients with shared hyperparameters (Theorem 1), and an oracle's.

    Args:
        path: the picture's, which ends in .png, .svg or .pdf.

    Returns:
        The figure, as written.

    Raises:
        InputError: matplotlib does not know the ending of ``path``.

    References:
        The paper, Section 2.4 and Figure 3.
    """
    figure, both = panels(2, 2, 3.6)
    for axes, (title, loss, name, symbol, values) in zip(both, PANELS, strict=True):
        for value, shade in zip(values, SHADES, strict=True):
            heights = [coefficient(loss, c, {name: value}) for c in CLASSES]
            axes.plot(CLASSES, heights, color=shade, label=f"{symbol} = {value:g}")
        limit = [oracle_coefficient(loss, c) for c in CLASSES]
        axes.plot(CLASSES, limit, color="black", linestyle="--", label="oracle")
        axes.set(title=title, xscale="log", yscale="log", xlabel="number of classes $c$")
        axes.set_ylim(top=20 * axes.get_ylim()[1])  # room for the legend
        axes.legend(loc="upper left", ncols=3, frameon=False, fontsize="small")
    both[0].set_ylabel(r"coefficient of $\eta / (c - 1)$")
    save(figure, path)
    return figure
