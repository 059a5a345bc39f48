"""Draw ``_static/paper-scale.svg``: runs of Table 1 at scale ``paper``, finished or not.

    python docs/scripts/plot_paper_scale.py FOLDER  # adds the epochs of the runs in it
    python docs/scripts/plot_paper_scale.py         # draws results/paper-scale.csv

``FOLDER`` is the one given by ``--out`` to ``metaloss reproduce table1``.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt

DOCS = Path(__file__).parents[1]
RESULTS, PICTURE = DOCS / "results" / "paper-scale.csv", DOCS / "_static" / "paper-scale.svg"
COLORS = {"CE": "#d1583d", "GCE": "#8a8a8a", "A-GCE": "#3d78c9", "A-PolySoft": "#3fa08a"}


class Epoch(NamedTuple):
    """A line of the table: the test accuracy in percent after an epoch, and its seconds."""

    method: str
    epoch: int
    accuracy: float
    seconds: float


def read() -> list[Epoch]:
    """Read the table."""
    if not RESULTS.exists():
        return []
    with RESULTS.open(newline="") as file:
        return [
            Epoch(row["method"], int(row["epoch"]), float(row["accuracy"]), float(row["seconds"]))
            for row in csv.DictReader(file)
        ]


def gather(folder: Path) -> list[Epoch]:
    """Read the epochs of all runs below a folder, but for those that others began with."""
    found = []
    for path in folder.glob("table1_cifar10/symmetric-0.4/*/seed-0/*/seed-0/metrics.jsonl"):
        for line in path.read_text().splitlines():
            said = json.loads(line)
            accuracy, seconds = round(said["test_accuracy"], 2), round(said["seconds"], 1)
            found.append(Epoch(path.parts[-3], said["epoch"], accuracy, seconds))
    return found


def write(epochs: list[Epoch]) -> None:
    """Write the table; of an epoch that is there twice, the later line holds."""
    with RESULTS.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Epoch._fields)
        writer.writerows(sorted({each[:2]: each for each in epochs}.values()))


def draw(epochs: list[Epoch]) -> None:
    """Draw the test accuracy of each method over the epochs."""
    plt.rcParams["svg.hashsalt"] = "metaloss"  # the same file each time
    figure, axes = plt.subplots(figsize=(6.5, 3), layout="constrained")
    for method, color in COLORS.items():
        own = [each for each in epochs if each.method == method]
        if own:
            at, accuracies = [each.epoch for each in own], [each.accuracy for each in own]
            axes.plot(at, accuracies, color=color, label=method)
    axes.set_xlabel("epoch")
    axes.set_ylabel("test accuracy in percent")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(PICTURE, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        write([*read(), *gather(Path(sys.argv[1]))])
    draw(read())
