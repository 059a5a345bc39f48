"""Collect the runs of the study of ``no-clean-results.md``, and draw its picture.

    python docs/scripts/no_clean_study.py RUNS...  # adds folders named DATA-VARIANT to the table
    python docs/scripts/no_clean_study.py          # means, tables and picture of the table

The table is ``results/no-clean.csv``.
A folder is of ``metaloss train experiments/study_DATA.gin``, and its name says what was varied.
"""

from __future__ import annotations

import csv
import json
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt

DOCS = Path(__file__).parents[1]
FIGURES = DOCS / "results" / "no-clean.csv"
NAMES = {"digits": "digits", "fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10"}
FAMILIES = ("GCE", "SL", "PolySoft", "JS")
VARIANTS = {
    "clean": ("clean samples, cross entropy", "#8a8a8a", "o"),
    "shared-warm3": ("the noisy training samples, MAE", "#3d78c9", "D"),
    "shared": ("the same without a warm-up", "#a9c6ec", "v"),
}

MAE, CE = "training samples, MAE", "clean samples, cross entropy"
STATISTICS, CONTEXT = "`MarginStatistics`", "`conditioners/margin_context.gin`"
# The variants on digits, by the meta samples and the meta loss, and by HOLD_NORM.
ON_DIGITS = {
    "clean-hold-0": (CE, "0"),
    "clean": (CE, "0.9"),
    "clean-statistics": (f"{CE}; {STATISTICS}", "0.9"),
    "clean-context": (f"{CE}; {CONTEXT}", "0.9"),
    "shared-hold-0": (MAE, "0"),
    "shared": (MAE, "0.9"),
    "shared-hold-1": (MAE, "1"),
    "shared-statistics": (f"{MAE}; {STATISTICS}", "0.9"),
    "shared-context": (f"{MAE}; {CONTEXT}", "0.9"),
    "noisy": ("300 noisy samples held out, MAE", "0.9"),
    "shared-gce": ("training samples, GCE (q = 0.7)", "0.9"),
    "shared-js": ("training samples, JS (0.5)", "0.9"),
    "shared-nce": ("training samples, normalized cross entropy", "0.9"),
}

# What was changed of the recipe on images, which begins with a warm-up.
ON_IMAGES = {
    "shared-hold-0-warm3": "`HOLD_NORM = 0.0`",
    "shared-hold-1-warm3": "`HOLD_NORM = 1.0`",
    "shared-gce-warm3": "meta loss: GCE (q = 0.7)",
    "shared-js-warm3": "meta loss: JS (0.5)",
    "shared-statistics-warm3": f"features: {STATISTICS}",
    "shared-context-warm3": f"features: {CONTEXT}",
}

# A method, and what of it was varied: a variant and a name.
Way = tuple[str, str]


class Run(NamedTuple):
    """A line of the table.

    Attributes:
        data: the data set.
        variant: the meta samples and the meta loss, and what else was varied; ``defaults`` for the
            losses with their default hyperparameters.
        noise: the kind of noise and its rate.
        method: the method.
        seed: the seed.
        accuracy: the test accuracy in percent, a mean over the last five epochs.
    """

    data: str
    variant: str
    noise: str
    method: str
    seed: int
    accuracy: float


def collect(folders: Iterable[Path]) -> list[Run]:
    """Read the results of every run below these folders."""
    runs = []
    for folder in folders:
        data, _, variant = folder.name.partition("-")
        data = NAMES[data]
        for path in folder.glob("*/*/seed-*/result.json"):
            found = json.loads(path.read_text())
            noise, _, rate = found["task"].partition("-")
            noise, accuracy = f"{noise} {float(rate):.0%}", round(found["accuracy"], 2)
            runs.append(Run(data, variant, noise, found["method"], found["seed"], accuracy))
    return sorted(runs)


def read() -> list[Run]:
    """Read the table."""
    with FIGURES.open(newline="") as file:
        return [
            Run(**{**row, "seed": int(row["seed"]), "accuracy": float(row["accuracy"])})
            for row in csv.DictReader(file)
        ]


def write(runs: Iterable[Run]) -> None:
    """Write the table."""
    with FIGURES.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Run._fields)
        writer.writerows(runs)


def gain(runs: Iterable[Run], data: str, noise: str, one: Way, other: Way) -> float | None:
    """Mean difference of two methods in accuracy, over the seeds that both were run with."""
    found: dict[Way, dict[int, float]] = {one: {}, other: {}}
    for run in runs:
        if (run.data, run.noise) == (data, noise) and (run.variant, run.method) in found:
            found[run.variant, run.method][run.seed] = run.accuracy
    both = found[one].keys() & found[other].keys()
    return statistics.mean(found[one][k] - found[other][k] for k in both) if both else None


def draw(runs: list[Run], path: Path) -> None:
    """Draw each adjusted loss's gain over its default, by data set and noise."""
    cells = sorted({(run.data, run.noise) for run in runs if run.variant in VARIANTS})
    plt.rcParams["svg.hashsalt"] = "metaloss"  # the same file each time
    figure, axes = plt.subplots(
        1, len(FAMILIES), figsize=(9, 0.8 + 0.28 * len(cells)), sharey=True, layout="constrained"
    )
    for axis, family in zip(axes, FAMILIES, strict=True):
        default = ("defaults", family)
        for variant, (label, color, marker) in VARIANTS.items():
            gains = [gain(runs, *cell, (variant, f"A-{family}"), default) for cell in cells]
            axis.scatter(gains, range(len(cells)), marker=marker, color=color, label=label, s=26)
        gains = [gain(runs, *cell, ("defaults", "CE"), default) for cell in cells]
        axis.scatter(gains, range(len(cells)), marker="x", color="#d1583d", label="cross entropy")
        axis.axvline(0, color="#bbbbbb", linewidth=1, zorder=0)
        axis.set_title(f"A-{family}")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks(range(len(cells)), [f"{data}, {noise}" for data, noise in cells])
    axes[0].invert_yaxis()
    figure.supxlabel("test accuracy less that of the default, in points", fontsize=10)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def summarize(runs: list[Run]) -> None:
    """Print what learning from noisy labels gains over others, in the mean of the tasks.

    The second figure is without a warm-up on digits, whose epochs are short.
    """
    tasks = sorted({(run.data, run.noise) for run in runs if run.variant == "shared-warm3"})
    for family in FAMILIES:
        others: dict[str, Way] = {
            "its default": ("defaults", family),
            "clean samples": ("clean", f"A-{family}"),
            "cross entropy": ("defaults", "CE"),
            "the adjuster of the package": ("recommended-pretrained", "recommended"),
        }
        for name, other in others.items():
            means = []
            for on_digits in ("shared-warm3", "shared"):
                gains = []
                for data, noise in tasks:
                    variant = on_digits if data == "digits" else "shared-warm3"
                    gains.append(gain(runs, data, noise, (variant, f"A-{family}"), other))
                means.append(statistics.mean(each for each in gains if each is not None))
            print(f"A-{family}, noisy samples, less {name}: {means[0]:+.1f}, {means[1]:+.1f}")


def write_meta_losses(runs: list[Run], path: Path) -> None:
    """Write each variant's gain over the defaults on digits, in the mean of noises and seeds."""
    noises = sorted({run.noise for run in runs if run.data == "digits"})
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["meta samples and meta loss", "HOLD_NORM", *(f"A-{f}" for f in FAMILIES)])
        for variant, said in ON_DIGITS.items():
            gains = []
            for family in FAMILIES:
                ways = (variant, f"A-{family}"), ("defaults", family)
                found = [gain(runs, "digits", noise, *ways) for noise in noises]
                gains.append(statistics.mean(each for each in found if each is not None))
            writer.writerow([*said, *(f"{each:+.1f}" for each in gains)])


def write_held_out(runs: list[Run], path: Path) -> None:
    """Write what held-out noisy samples gain over the training samples, by task."""
    pairs = {"noisy": "shared", "noisy-warm3": "shared-warm3"}
    tasks = sorted({(run.data, run.noise, run.variant) for run in runs if run.variant in pairs})
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["data", "noise", *(f"A-{family}" for family in FAMILIES)])
        for data, noise, variant in tasks:
            ways = (((variant, f"A-{f}"), (pairs[variant], f"A-{f}")) for f in FAMILIES)
            gains = [gain(runs, data, noise, *pair) for pair in ways]
            said = ["" if each is None else f"{each:+.1f}" for each in gains]
            writer.writerow([data, noise, *said])


def write_on_images(runs: list[Run], path: Path) -> None:
    """Write what each change of the recipe gains on images, in the mean of the three noises."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["data", "changed", *(f"A-{family}" for family in FAMILIES)])
        for data in ("Fashion-MNIST", "CIFAR-10"):
            noises = sorted({run.noise for run in runs if run.data == data})
            for variant, said in ON_IMAGES.items():
                cells = []
                for family in FAMILIES:
                    ways = (variant, f"A-{family}"), ("shared-warm3", f"A-{family}")
                    found = [gain(runs, data, noise, *ways) for noise in noises]
                    gains = [each for each in found if each is not None]
                    cells.append(f"{statistics.mean(gains):+.1f}" if gains else "")
                if any(cells):
                    writer.writerow([data, said, *cells])


def main() -> None:
    """Collect the folders given, if there are any; print the means, write tables, and draw."""
    if len(sys.argv) > 1:
        runs = {run[:5]: run for run in [*read(), *collect(map(Path, sys.argv[1:]))]}
        write(sorted(runs.values()))
    summarize(read())
    write_meta_losses(read(), DOCS / "results" / "no-clean-meta-losses.csv")
    write_held_out(read(), DOCS / "results" / "no-clean-held-out.csv")
    write_on_images(read(), DOCS / "results" / "no-clean-images.csv")
    draw(read(), DOCS / "_static" / "no-clean.svg")


if __name__ == "__main__":
    main()
