"""Draw the pictures of ``explanation/carrying-over.md`` from ``results/carrying-*.csv``.

python docs/scripts/plot_carrying_over.py
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

DOCS = Path(__file__).parents[1]
BLUE, LIGHT, RED, GREY, GREEN = "#3d78c9", "#8fb6e8", "#d1583d", "#8a8a8a", "#4d9b6a"
NAMES = {"q": "$q$", "π₁": r"$\pi_1$", "λ": r"$\lambda$", "d": "$d$"}
NAMES |= {"γ₁": r"$\gamma_1$", "γ₂": r"$\gamma_2$"}
Line = dict[str, str]


def read(name: str) -> list[Line]:
    """Return the lines of a table."""
    with (DOCS / "results" / f"carrying-{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def save(figure: plt.Figure, name: str) -> None:
    """Write the picture, the same file each time."""
    figure.savefig(DOCS / "_static" / f"carrying-{name}.svg", metadata={"Date": None})
    plt.close(figure)


def plain(axes: Axes) -> None:
    """Draw no frame at the top and on the right."""
    axes.spines[["top", "right"]].set_visible(False)


def draw_steps() -> None:
    """What each change of the meta-training adds, on the tasks learned from and on digits."""
    lines = read("steps")
    rows = [line for line in lines if line["nine tasks"]]
    levels = {line["configuration"]: float(line["digits"]) for line in lines[len(rows) :]}
    figure, panels = plt.subplots(1, 2, figsize=(8.6, 3.4), sharey=True, layout="constrained")
    for axes, column, title in zip(
        panels, ("nine tasks", "digits"), ("the nine tasks learned from", "digits"), strict=True
    ):
        values = [float(row[column]) for row in rows]
        axes.plot(values, range(len(rows)), "o-", color=BLUE, linewidth=1)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("test accuracy in percent")
        axes.grid(axis="y", color="#eeeeee")
        plain(axes)
    for (name, level), color in zip(levels.items(), (RED, GREY), strict=True):
        panels[1].axvline(level, color=color, linestyle="--", linewidth=1, label=name)
    panels[0].set_yticks(range(len(rows)), [row["configuration"] for row in rows])
    panels[0].invert_yaxis()
    figure.legend(loc="outside upper right", ncols=2, frameon=False, fontsize=9)
    save(figure, "steps")


def curves(axes: Axes, lines: Sequence[Line], styles: dict[str, tuple[str, str]]) -> None:
    """Draw a hyperparameter against the margin, a line for each kind of adjuster."""
    for name, (color, style) in styles.items():
        points = [
            (float(line["margin"]), float(line["value"])) for line in lines if line["line"] == name
        ]
        axes.plot(*zip(*points, strict=True), style, color=color, label=name, markersize=4)
    axes.set_xlabel("margin $m$")
    plain(axes)


def draw_context(lines: Sequence[Line]) -> None:
    """How the mean margins of two classes change what is made of a margin."""
    figure, axes = plt.subplots(figsize=(7.4, 2.9), layout="constrained")
    styles = {
        "both classes like the others": (GREY, "o-"),
        "the label's class 3 below": (BLUE, "s-"),
        "its rival's class 3 below": (RED, "D-"),
    }
    curves(axes, lines, styles)
    axes.set_ylabel("$q$ (1: ignore if not fitted)")
    axes.set_ylim(-0.03, 1.03)
    figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    save(figure, "context")


def draw_tasks(lines: Sequence[Line]) -> None:
    """What adjusters that read the margin alone learned on each kind of task."""
    figure, axes = plt.subplots(figsize=(8.2, 3.1), layout="constrained")
    styles = {
        "nine tasks of Fashion-MNIST": (BLUE, "o-"),
        "nine tasks of CIFAR-10": (RED, "s-"),
        "CIFAR-10, 4,000 images learned by heart": (RED, "v--"),
        "CIFAR-10, cross entropy first": (RED, "x:"),
        "both kinds of tasks (eighteen)": (GREEN, "D-"),
    }
    curves(axes, lines, styles)
    axes.set_ylabel("GCE's $q$")
    axes.set_ylim(-0.03, 1.03)
    figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    save(figure, "tasks")


def draw_families(lines: Sequence[Line]) -> None:
    """The same for all hyperparameters of the four losses, on their ranges."""
    ranges = {
        "GCE q": (0.0, 1.0),
        "JS π₁": (0.0, 1.0),
        "PolySoft λ": (3.4, 10.0),
        "PolySoft d": (1.1, 5.0),
        "SL γ₁": (0.0, 0.3),
        "SL γ₂": (0.3, 1.0),
    }
    figure, panels = plt.subplots(2, 3, figsize=(8.2, 4.4), sharex=True, layout="constrained")
    styles = {"Fashion-MNIST": (BLUE, "o-"), "CIFAR-10": (RED, "s-")}
    for axes, (name, (low, high)) in zip(panels.flat, ranges.items(), strict=True):
        curves(axes, [line for line in lines if line["hyperparameter"] == name], styles)
        loss, symbol = name.split()
        axes.set_title(f"{loss}: {NAMES[symbol]}", fontsize=10)
        pad = 0.04 * (high - low)
        axes.set_ylim(low - pad, high + pad)
        if axes not in panels[-1]:
            axes.set_xlabel("")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    labels = [f"learned on {label}" for label in labels]
    figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    save(figure, "families")


def draw_both() -> None:
    """Attempts at one adjuster for both kinds of data, less GCE with its default."""
    lines = read("both")
    values = {(line["adjuster"], line["task"]): float(line["value"]) for line in lines}
    base = lines[0]["adjuster"]
    tasks = list(dict.fromkeys(line["task"] for line in lines))
    names = [name for name in dict.fromkeys(line["adjuster"] for line in lines) if name != base]
    markers = ["1", "2", "3", "o", "D", "s"]
    colors = [GREY, RED, LIGHT, BLUE, GREEN, "#b98a2f"]
    figure, axes = plt.subplots(figsize=(8.6, 3.4), layout="constrained")
    for name, marker, color in zip(names, markers, colors, strict=True):
        points = [
            (values[name, task] - values[base, task], place)
            for place, task in enumerate(tasks)
            if (name, task) in values
        ]
        axes.plot(*zip(*points, strict=True), marker, color=color, label=name)
    axes.axvline(0, color="#bbbbbb", linewidth=1, zorder=0)
    axes.set_yticks(range(len(tasks)), tasks)
    axes.invert_yaxis()
    axes.set_xlabel("test accuracy less that of GCE with its default, in points")
    plain(axes)
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    save(figure, "both")


def main() -> None:
    """Draw all of them."""
    plt.rcParams["svg.hashsalt"] = "metaloss"
    found = read("curves")
    draw_steps()
    draw_both()
    for name, draw in (
        ("context", draw_context),
        ("tasks", draw_tasks),
        ("families", draw_families),
    ):
        draw([line for line in found if line["figure"] == name])


if __name__ == "__main__":
    main()
