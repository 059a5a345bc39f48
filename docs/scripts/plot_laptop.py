"""Gather Tables 1 and 2 at scale ``laptop`` in ``results/laptop.csv``, and draw them.

    python docs/scripts/plot_laptop.py FOLDER   # adds `metaloss reproduce table1` and `table2`
    python docs/scripts/plot_laptop.py          # draws `_static/laptop.svg` and Figure 2 again

``FOLDER`` is the one given by ``--out``.
"""

from __future__ import annotations

import csv
import statistics
import sys
from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt

from metaloss.diagnostics.figures import draw_figure2

DOCS = Path(__file__).parents[1]
RESULTS, PICTURE = DOCS / "results" / "laptop.csv", DOCS / "_static" / "laptop.svg"
FIGURE_2 = DOCS / "_static" / "laptop-figure2.png"
LOSSES = ("GCE", "SL", "PolySoft", "JS")
# How each way to choose a loss's hyperparameter is named in the tables, and drawn.
WAYS = {
    "searched": ("{}", "s", "#8a8a8a"),
    "paper's recipe": ("A-{}", "v", "#8fb6e8"),
    "recommended": ("A-{} recommended", "o", "#3d78c9"),
    "learned elsewhere": ("{} learned elsewhere", "D", "#3fa08a"),
    "from noisy labels": ("A-{} from noisy labels", "P", "#9a6fb0"),
    "oracle": ("oracle {}", "*", "#d9a441"),
}


def read() -> dict[tuple[str, str], dict[str, float]]:
    """Return the scores that are known: of each method and noise, the score of each seed."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    with RESULTS.open(newline="") as file:
        for line in csv.DictReader(file):
            scores = found.setdefault((line["method"], line["noise"]), {})
            scores[line["seed"]] = float(line["value"])
    return found


def gather(folder: Path) -> None:
    """Add the scores of a folder: of each method the seeds that have run with every noise."""
    found = read()
    for table in ("table1", "table2"):
        with (folder / table / "results.csv").open(newline="") as file:
            for line in csv.DictReader(file):
                scores = found.setdefault((line["method"], line["task"].replace(" 0.4", "")), {})
                for name, score in line.items():
                    if name.startswith("seed_") and score:
                        scores[name.removeprefix("seed_")] = float(score)
    noises = {noise for _, noise in found}
    run = Counter((method, seed) for (method, _), scores in found.items() for seed in scores)
    with RESULTS.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("method", "noise", "seed", "value"))
        for (method, noise), scores in found.items():
            for seed, score in sorted(scores.items()):
                if run[method, seed] == len(noises):
                    writer.writerow((method, noise, seed, f"{score:.2f}"))


def means() -> dict[tuple[str, str], float]:
    """Return the mean over the seeds that all methods have, by method and noise."""
    found = read()
    common = set.intersection(*(set(scores) for scores in found.values()))
    return {key: statistics.fmean(v[seed] for seed in common) for key, v in found.items()}


def draw() -> None:
    """Draw a panel for each noise: a row for each loss, a mark for each way."""
    plt.rcParams["svg.hashsalt"] = "metaloss"  # the same file each time
    found = means()
    noises = list(dict.fromkeys(noise for _, noise in found))
    figure, panels = plt.subplots(1, len(noises), figsize=(8.2, 3.2), layout="constrained")
    for axes, noise in zip(panels, noises, strict=True):
        axes.axvline(found["CE", noise], color="#d1583d", linewidth=1, label="CE")
        for way, (name, marker, color) in WAYS.items():
            scores = [found.get((name.format(loss), noise)) for loss in LOSSES]
            axes.scatter(scores, range(len(LOSSES)), marker=marker, color=color, label=way, s=42)
        axes.set_title(f"{noise}, 40%", fontsize=10)
        axes.set_xlabel("test accuracy in percent")
        axes.set_yticks(range(len(LOSSES)), LOSSES if noise == noises[0] else [])
        axes.set_ylim(len(LOSSES) - 0.5, -0.5)
        axes.grid(axis="x", alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    figure.savefig(PICTURE, metadata={"Date": None})
    plt.close(figure)


def draw_oracles() -> None:
    """Draw Figure 2: cross entropy, the searched losses and the oracles, with all seeds."""
    table: dict[str, dict[str, list[float]]] = {}
    for (method, noise), scores in read().items():
        if method == "CE" or method in LOSSES or method.startswith("oracle "):
            table.setdefault(method, {})[noise] = list(scores.values())
    draw_figure2(table, FIGURE_2)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        gather(Path(sys.argv[1]))
    draw()
    draw_oracles()
