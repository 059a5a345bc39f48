"""Draw ``_static/transfer.svg`` from ``results/transfer.csv``.

    python docs/scripts/plot_transfer.py RUN TARGET GROUP  # add a run to the table, and draw
    python docs/scripts/plot_transfer.py                   # draw

A run is of ``metaloss transfer CONFIG --compare``. The target and the group are those of the
table, such as ``digits context``.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import matplotlib.pyplot as plt

DOCS = Path(__file__).parents[1]
TABLE = DOCS / "results" / "transfer.csv"
COLUMNS = ("target", "group", "method", "noise", "value", "spread")
SHORT = {"symmetric": "sym", "asymmetric": "asym"}
LOSSES = ("GCE", "JS", "PolySoft", "SL")
# By target: what its adjusters were learned on, as their names have it.
SOURCES = {"digits": "fashion-mnist", "CIFAR-10": "fashion-mnist", "Fashion-MNIST": "cifar10"}
TITLES = {"fashion-mnist": "Fashion-MNIST", "cifar10": "CIFAR-10"}


def collect(run: Path, target: str, group: str) -> list[dict[str, str]]:
    """Return the lines of a run: each method on each noise, and its mean over them."""
    lines = []
    for row in json.loads((run / "results.json").read_text())["rows"]:
        name = row["method"]
        method = f"`{name.removeprefix('T-')}`" if name.startswith("T-") else name
        key = {"target": target, "group": group, "method": method}
        for task, found in row["tasks"].items():
            kind, _, rate = task.rpartition("-")
            cell = {
                "noise": f"{SHORT[kind]} {100 * float(rate):.0f}%",
                "value": f"{found['accuracy_mean']:.1f}",
                "spread": f"{found['accuracy_std'] or 0:.1f}",
            }
            lines.append({**key, **cell})
        lines.append({**key, "noise": "mean", "value": f"{row['accuracy_mean']:.1f}", "spread": ""})
    return lines


def add(lines: list[dict[str, str]]) -> None:
    """Put lines into the table, in place of those that they are newer figures of."""
    with TABLE.open(newline="") as file:
        merged = {tuple(line[k] for k in COLUMNS[:4]): line for line in csv.DictReader(file)}
    merged |= {tuple(line[k] for k in COLUMNS[:4]): line for line in lines}
    with TABLE.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(merged.values())


def read() -> dict[tuple[str, str, str], float]:
    """Return accuracies by target, method and noise."""
    with TABLE.open(newline="") as file:
        return {
            (line["target"], line["method"], line["noise"]): float(line["value"])
            for line in csv.DictReader(file)
        }


def main() -> None:
    """Add a run if one is given, and draw the losses less cross entropy."""
    if len(sys.argv) > 1:
        run, target, group = sys.argv[1:]
        add(collect(Path(run), target, group))
    found = read()
    plt.rcParams["svg.hashsalt"] = "metaloss"  # the same file each time
    noises = [n for t, m, n in found if (t, m) == ("digits", "CE") and n != "mean"]
    figure, panels = plt.subplots(
        len(SOURCES), len(LOSSES), figsize=(9, 7), sharex="row", sharey=True, layout="constrained"
    )
    for row, (target, source) in zip(panels, SOURCES.items(), strict=True):
        for axes, loss in zip(row, LOSSES, strict=True):
            adjusted = f"`{loss.lower()}-{source}-context`"
            for method, marker, color, label in (
                (loss, "o", "#8a8a8a", "with its default"),
                (adjusted, "D", "#3d78c9", "with the learned adjuster"),
            ):
                gains = [found[target, method, n] - found[target, "CE", n] for n in noises]
                fill = "none" if marker == "o" else color
                axes.plot(
                    gains,
                    range(len(noises)),
                    marker,
                    color=color,
                    markerfacecolor=fill,
                    label=label,
                )
            axes.axvline(0, color="#d1583d", linewidth=1, zorder=0, label="cross entropy")
            axes.spines[["top", "right"]].set_visible(False)
            if axes in panels[0]:
                axes.set_title(loss, fontsize=11)
        row[0].set_ylabel(f"{TITLES[source]} → {target}")
        row[0].set_yticks(range(len(noises)), noises)
    panels[0, 0].invert_yaxis()
    figure.supxlabel("test accuracy less that of cross entropy, in points", fontsize=10)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(DOCS / "_static" / "transfer.svg", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
