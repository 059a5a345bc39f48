"""Draw ``_static/figure3.svg``, the paper's Fig. 3: the coefficients of the bounds.

    python docs/plot_theory.py

Shared hyperparameters (Theorem 1) in colour, an oracle's in their limit (Theorem 3) in black.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt

from metaloss.losses import GCE, JS, LossFamily
from metaloss.theory import coefficient, oracle_coefficient

CLASSES = [2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 64, 80, 100]
SHADES = ("#3d78c9", "#2f9aa0", "#cf9a1d", "#d1583d")
PANELS: list[tuple[str, LossFamily, str, str, tuple[float, ...]]] = [
    ("(a) GCE", GCE(), "q", "q", (0.3, 0.5, 0.7, 0.9)),
    ("(b) JS", JS(), "pi_1", "π₁", (0.1, 0.5, 0.9, 0.999)),
]


def main() -> None:
    """Draw it."""
    plt.rcParams["svg.hashsalt"] = "metaloss"  # the same file each time
    figure, both = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    for axes, (title, loss, name, symbol, values) in zip(both, PANELS, strict=True):
        for value, shade in zip(values, SHADES, strict=True):
            heights = [coefficient(loss, c, {name: value}) for c in CLASSES]
            axes.plot(CLASSES, heights, color=shade, label=f"{symbol} = {value:g}")
        limit = [oracle_coefficient(loss, c) for c in CLASSES]
        axes.plot(CLASSES, limit, color="black", linestyle="--", label="oracle")
        axes.set(title=title, xscale="log", yscale="log", xlabel="number of classes")
        axes.set_ylim(top=20 * axes.get_ylim()[1])  # room for the legend
        axes.legend(loc="upper left", ncols=3, frameon=False, fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    both[0].set_ylabel("coefficient of η / (c - 1)")
    figure.savefig(Path(__file__).parent / "_static" / "figure3.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
