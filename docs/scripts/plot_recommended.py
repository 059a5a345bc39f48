"""Compare the recommended compositions with other methods, from ``results/no-clean.csv``.

``python docs/scripts/plot_recommended.py`` prints mean differences, and draws
``_static/recommended.svg``.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from no_clean_study import DOCS, Run, Way, gain, read

CE: Way = ("defaults", "CE")
# By name: the variant and the method of the study's table, and how it is drawn.
METHODS: dict[str, tuple[Way, str, str]] = {
    "label smoothing": (("others", "LabelSmoothing"), "+", "#8a8a8a"),
    "GCE": (("defaults", "GCE"), "$G$", "#777777"),
    "SL": (("defaults", "SL"), "$S$", "#777777"),
    "PolySoft": (("defaults", "PolySoft"), "$P$", "#777777"),
    "JS": (("defaults", "JS"), "$J$", "#777777"),
    "MW-Net": (("others", "MW-Net"), "o", "#8a8a8a"),
    "clean samples": (("recommended-clean", "recommended"), "o", "#3d78c9"),
    "noisy samples": (("shared-warm3", "A-SL"), "P", "#9a6fb0"),
    "learned elsewhere": (("recommended-pretrained", "recommended"), "D", "#3fa08a"),
}
OURS = tuple(METHODS)[-3:]
IMAGES = ("Fashion-MNIST", "CIFAR-10")


def summarize(runs: Sequence[Run], where: str, data: Sequence[str]) -> None:
    """Print what each composition gains over the others: the mean, and the worst and best task."""
    print(f"{where}:")
    cells = sorted({(r.data, r.noise) for r in runs if r.variant == "defaults" and r.data in data})
    others = {"cross entropy": CE} | {name: way for name, (way, _, _) in METHODS.items()}
    for ours in OURS:
        for name, way in others.items():
            found = [gain(runs, *cell, METHODS[ours][0], way) for cell in cells]
            gains = [each for each in found if each is not None]
            mean, low, high = statistics.mean(gains), min(gains), max(gains)
            if name != ours:
                print(f"  {ours}, less {name}: {mean:+.1f} ({low:+.1f} to {high:+.1f})")


def draw(runs: Sequence[Run], path: Path) -> None:
    """Draw each method's accuracy less that of cross entropy, over the seeds that both have."""
    plt.rcParams["svg.hashsalt"] = "metaloss"  # the same file each time
    cells = sorted({(run.data, run.noise) for run in runs if run.variant == "defaults"})
    figure, axes = plt.subplots(figsize=(8, 1.2 + 0.42 * len(cells)), layout="constrained")
    for name, (way, marker, color) in METHODS.items():
        gains = [gain(runs, *cell, way, CE) for cell in cells]
        below = 0.18 if name in OURS else -0.18  # ours stand in the lower half of a task's row
        points = [(each, place + below) for place, each in enumerate(gains) if each is not None]
        style = {"color": color, "markerfacecolor": "none" if name == "MW-Net" else color}
        axes.plot(*zip(*points, strict=True), linestyle="", marker=marker, label=name, **style)
    for place in range(len(cells) - 1):
        axes.axhline(place + 0.5, color="#e6e6e6", linewidth=0.8, zorder=0)
    axes.axvline(0, color="#d1583d", linewidth=1, zorder=0, label="cross entropy")
    axes.set_yticks(range(len(cells)), [f"{data}, {noise}" for data, noise in cells])
    axes.invert_yaxis()
    axes.set_xlabel("test accuracy less that of cross entropy, in points")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    summarize(read(), "all tasks", ["digits", *IMAGES])
    summarize(read(), "digits", ["digits"])
    summarize(read(), "images", IMAGES)
    draw(read(), DOCS / "_static" / "recommended.svg")
