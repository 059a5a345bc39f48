"""Draw ``_static/recommended.svg``, and print its table, from ``results/no-clean.csv``.

python docs/plot_recommended.py
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
from no_clean_study import HERE, means, read

# By name: the variant and the method of the study's table, and how it is drawn.
METHODS = {
    "CE": ("defaults", "CE", "x", "#d1583d"),
    "label smoothing": ("others", "LabelSmoothing", "+", "#8a8a8a"),
    "GCE": ("defaults", "GCE", "1", "#8a8a8a"),
    "SL": ("defaults", "SL", "2", "#8a8a8a"),
    "PolySoft": ("defaults", "PolySoft", "3", "#8a8a8a"),
    "JS": ("defaults", "JS", "4", "#8a8a8a"),
    "MW-Net": ("others", "MW-Net", "o", "#8a8a8a"),
    "recommended, clean": ("recommended-clean", "recommended", "o", "#3d78c9"),
    "recommended, no clean": ("recommended-pretrained", "recommended", "D", "#8fb6e8"),
}
Cell = tuple[str, str]


def figures() -> dict[Cell, dict[str, float]]:
    """Return each method's mean accuracy by data set and noise."""
    found = means(read())
    cells = sorted({key[0::2][:2] for key in found if key[1] == "defaults"})
    return {
        (data, noise): {
            name: found[data, variant, noise, method]
            for name, (variant, method, *_) in METHODS.items()
            if (data, variant, noise, method) in found
        }
        for data, noise in cells
    }


def table(cells: Mapping[Cell, Mapping[str, float]]) -> str:
    """Return a table in Markdown, with the mean over all cells in its last row."""
    lines = ["| | " + " | ".join(METHODS) + " |", "|---" * (len(METHODS) + 1) + "|"]
    rows = {f"{data}, {noise}": row for (data, noise), row in cells.items()}
    rows["mean"] = {
        name: statistics.fmean(row[name] for row in cells.values())
        for name in METHODS
        if all(name in row for row in cells.values())
    }
    for title, row in rows.items():
        best = max(row.values())
        shown = [f"{row[n]:.1f}" if n in row else "" for n in METHODS]
        bold = [
            f"**{s}**" if n in row and row[n] == best else s
            for n, s in zip(METHODS, shown, strict=True)
        ]
        lines.append(f"| {title} | " + " | ".join(bold) + " |")
    return "\n".join(lines)


def draw(cells: Mapping[Cell, Mapping[str, float]], path: Path) -> None:
    """Draw each method's accuracy less that of cross entropy."""
    plt.rcParams["svg.hashsalt"] = "metaloss"  # the same file each time
    figure, axes = plt.subplots(figsize=(8, 1.2 + 0.32 * len(cells)), layout="constrained")
    for name, (_, _, marker, color) in METHODS.items():
        points = [
            (row[name] - row["CE"], place)
            for place, row in enumerate(cells.values())
            if name in row and name != "CE"
        ]
        if points:
            fill = "none" if name == "MW-Net" else color
            axes.plot(
                *zip(*points, strict=True), marker, color=color, markerfacecolor=fill, label=name
            )
    axes.axvline(0, color=METHODS["CE"][3], linewidth=1, zorder=0, label="cross entropy")
    axes.set_yticks(range(len(cells)), [f"{data}, {noise}" for data, noise in cells])
    axes.invert_yaxis()
    axes.set_xlabel("test accuracy less that of cross entropy, in points")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=5, frameon=False, fontsize=9)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    found = figures()
    print(table(found))
    draw(found, HERE / "_static" / "recommended.svg")
