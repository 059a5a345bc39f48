"""Draw ``_static/size.svg`` from ``results/size.csv``.

python docs/scripts/plot_size.py
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

DOCS = Path(__file__).parents[1]
RESULTS, PICTURE = DOCS / "results" / "size.csv", DOCS / "_static" / "size.svg"
CE, BACK = "CE step", "lookback"
Figures = dict[str, float]
OURS: dict[str, Any] = {"color": "#3d78c9", "marker": "o"}
PLAIN: dict[str, Any] = {"color": "#8a8a8a", "marker": "s"}
OTHER: dict[str, Any] = {"color": "#c96a3d", "marker": "^"}
MODEL: dict[str, Any] = {"color": "#3d78c9", "linestyle": ":"}
MS, VALUE = "ms of a CE step", "value"


def _back(f: Figures) -> float:
    return f[MS] * f[f"{BACK}, in CE steps"]


_TIME = (
    "ms",
    [
        ("meta iteration", _back, OURS),
        ("three CE steps", lambda f: 3 * f[MS], MODEL),
        ("CE step", lambda f: f[MS], PLAIN),
    ],
)
_MEMORY = (
    "MiB",
    [
        ("meta iteration", lambda f: f[f"{BACK}, MiB"], OURS),
        ("CE step", lambda f: f[f"{CE}, MiB"], PLAIN),
    ],
)
PANELS: dict[str, tuple[Any, ...]] = {
    "samples": (
        "samples, in a file",
        ("ms", [("to read a batch of 100", lambda f: f["ms to read a batch"], OURS)]),
        (
            "MiB",
            [
                ("memory in use", lambda f: f["MiB in use"], OURS),
                ("the file", lambda f: f["MiB of the file"], PLAIN),
            ],
        ),
    ),
    "classes": ("classes", _TIME, _MEMORY),
    "parameters": ("parameters of the network", _TIME, _MEMORY),
    "steps": (
        "steps looked back, K",
        (
            "ms",
            [
                ("meta iteration", _back, OURS),
                ("3 + 4 (K - 1) CE steps", lambda f: (4 * f[VALUE] - 1) * f[MS], MODEL),
                ("CE step", lambda f: f[MS], PLAIN),
            ],
        ),
        ("MiB", [*_MEMORY[1], ("by unrolling", lambda f: f["unroll, MiB"], OTHER)]),
    ),
    "tasks": (
        "tasks at once",
        ("ms", [("step and meta step of one task", lambda f: f["ms of a step of one task"], OURS)]),
        ("MiB", [("memory of the process", lambda f: f["MiB"], OURS)]),
    ),
    "processes": ("processes, for a batch of 100", _TIME, ("MiB a process", _MEMORY[1])),
}


def main() -> None:
    """Draw time on the left and memory on the right, a row for each study."""
    with RESULTS.open(newline="") as file:
        lines = list(csv.DictReader(file))
    plt.rcParams["svg.hashsalt"] = "metaloss"  # the same file each time
    figure, panels = plt.subplots(len(PANELS), 2, figsize=(8.2, 13), layout="constrained")
    for row, (study, (label, *sides)) in zip(panels, PANELS.items(), strict=True):
        points = measured(study, lines)
        values = [point[VALUE] for point in points]
        for axes, (unit, curves) in zip(row, sides, strict=True):
            drawn = {name: [of(point) for point in points] for name, of, _ in curves}
            for name, _, style in curves:
                axes.plot(values, drawn[name], label=name, **style)
            axes.set_xscale("log")
            if values[0] == 1:
                axes.set_xticks(values, [f"{value:.0f}" for value in values])
                axes.minorticks_off()
            heights = [height for curve in drawn.values() for height in curve]
            if len(curves) > 1 and max(heights) > 10 * min(heights):
                axes.set_yscale("log")
            else:
                axes.set_ylim(0, 1.35 * max(heights))  # room for the legend
            axes.set_xlabel(label)
            axes.set_ylabel(unit)
            axes.legend(frameon=False, fontsize=8)
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(visible=True, alpha=0.25)
    figure.savefig(PICTURE, metadata={"Date": None})
    plt.close(figure)


def measured(study: str, lines: list[dict[str, str]]) -> list[Figures]:
    """Return the points of a study, each with what was measured there, by name."""
    points: dict[int, Figures] = {}
    for line in lines:
        if line["study"] == study:
            value = int(line["value"])
            point = points.setdefault(value, {VALUE: value})
            point[line["figure"]] = float(line["measured"])
    return [points[value] for value in sorted(points)]


if __name__ == "__main__":
    main()
