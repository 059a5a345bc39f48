"""Draw ``_static/learned.svg``: what an adjuster of GCE learned on digits with 40% wrong labels.

metaloss demo --out RUN
python docs/scripts/plot_learned.py RUN  # reads the run into results/learned.csv, and draws
python docs/scripts/plot_learned.py      # draws from results/learned.csv
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import safetensors.torch
import torch

import metaloss

DOCS = Path(__file__).parents[1]
TABLE = DOCS / "results" / "learned.csv"
BLUE, RED, GREYS = "#3d78c9", "#d1583d", ("#b5bcc4", "#7f8993", "#20262c")
TIMES = {"0.33": "after a third of training", "0.67": "after two thirds", "1.00": "at the end"}


def collect(run: Path) -> Iterator[tuple[str, float, float]]:
    """Yield points: curves of q by the margin, and the shares of samples by margin and by q."""
    place = run / "A-GCE" / "seed-0"
    samples = safetensors.torch.load_file(place / "samples.safetensors")
    margin, q = samples["margin"], samples["hparams"][:, 0]
    wrong = samples["flipped"].bool()
    criterion = metaloss.from_pretrained(str(place / "adjuster"))
    at = torch.linspace(-15, 15, 61).unsqueeze(1)
    for k, time in enumerate(TIMES):
        criterion.progress((k + 0.5) / len(TIMES))
        with torch.no_grad():
            values = criterion.adjuster(at)
        yield from (
            (f"q {time}", x, y)
            for x, y in zip(at[:, 0].tolist(), values[:, 0].tolist(), strict=True)
        )
    for name, values, edges in (
        ("margin", margin, np.linspace(-15, 15, 31)),
        ("q", q, np.linspace(0, 1, 26)),
    ):
        for label, part in (("right", ~wrong), ("wrong", wrong)):
            counts, _ = np.histogram(values[part].clamp(-15, 15).numpy(), bins=edges)
            middles = (edges[1:] + edges[:-1]) / 2
            shares = 100 * counts / len(values)
            yield from ((f"{name} {label}", x, y) for x, y in zip(middles, shares, strict=True))


def draw() -> None:
    """Draw the table."""
    found: dict[str, list[tuple[float, float]]] = {}
    with TABLE.open(newline="") as file:
        for line in csv.DictReader(file):
            found.setdefault(line["what"], []).append((float(line["x"]), float(line["y"])))
    plt.rcParams["svg.hashsalt"] = "metaloss"  # the same file each time
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.3), layout="constrained")
    for color, (time, label) in zip(GREYS, TIMES.items(), strict=True):
        left.plot(*zip(*found[f"q {time}"], strict=True), color=color, label=label)
    left.set(xlabel="margin $m$", ylabel="learned $q$", xlim=(-15, 15), ylim=(-0.02, 1.02))
    left.axhline(0.7, color="#8a8a8a", linestyle=":", linewidth=1.2, label="fixed default")
    for axes, name, width in ((left.twinx(), "margin", 1.0), (right, "q", 0.04)):
        for label, color in (("right", BLUE), ("wrong", RED)):
            x, y = zip(*found[f"{name} {label}"], strict=True)
            shown = f"{label} labels" if axes is right else None
            axes.bar(
                x, y, width, color=color, alpha=0.35 if axes is not right else 0.75, label=shown
            )
        if axes is not right:  # only to show where the samples are
            axes.set_ylim(0, 60)
            axes.set_yticks([])
            axes.spines[["top", "right"]].set_visible(False)
    right.set(xlabel="learned $q$", ylabel="percent of the samples", xlim=(-0.02, 1.02))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    figure.savefig(DOCS / "_static" / "learned.svg", metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Collect a run if one is given, and draw."""
    if len(sys.argv) > 1:
        with TABLE.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("what", "x", "y"))
            writer.writerows(
                (what, f"{x:.4g}", f"{y:.4g}") for what, x, y in collect(Path(sys.argv[1]))
            )
    draw()


if __name__ == "__main__":
    main()
