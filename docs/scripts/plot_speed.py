"""Draw ``_static/speed.svg`` from ``results/speed-resnet32.csv``.

python docs/scripts/plot_speed.py
"""

from __future__ import annotations

import csv
from pathlib import Path

import matplotlib.pyplot as plt

DOCS = Path(__file__).parents[1]
PEERS = ("TorchOpt MetaSGD", "higher", "learn2learn")
LEFT_OUT = ("CE step", "our plain iteration")


def main() -> None:
    """Draw time and memory of one meta iteration, ours and those of other libraries."""
    with (DOCS / "results" / "speed-resnet32.csv").open(newline="") as file:
        lines = [
            {key: text.replace("`", "") for key, text in x.items()} for x in csv.DictReader(file)
        ]
    lines = [line for line in lines if line[""] not in LEFT_OUT]
    plt.rcParams["svg.hashsalt"] = "metaloss"  # the same file each time
    figure, panels = plt.subplots(1, 2, figsize=(8.2, 3), sharey=True, layout="constrained")
    names = [line[""] for line in lines]
    colors = ["#8a8a8a" if name in PEERS else "#3d78c9" for name in names]
    for axes, column, label in zip(
        panels,
        ("time in CE steps", "MiB over the CE step"),
        ("time, in steps of cross entropy", "memory above a step of cross entropy, in MiB"),
        strict=True,
    ):
        values = [float(line[column]) for line in lines]
        bars = axes.barh(names, values, color=colors, height=0.6)
        axes.bar_label(bars, [f"{v:.3g}" for v in values], padding=3, fontsize=9)
        axes.set_xlabel(label)
        axes.set_xlim(0, 1.15 * max(values))
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].invert_yaxis()
    figure.savefig(DOCS / "_static" / "speed.svg", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
