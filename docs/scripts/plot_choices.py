"""Draw what each change of ``recipes/no_clean.gin`` gains or loses, out of the study's runs.

    python docs/scripts/plot_choices.py   # draws `_static/no-clean-choices.svg`

The runs are those of ``no_clean_study.py``.
"""

from __future__ import annotations

import statistics

import matplotlib.pyplot as plt
from no_clean_study import DOCS, FAMILIES, Run, gain, read

PICTURE = DOCS / "_static" / "no-clean-choices.svg"
# What is changed; the variants on images have a warm-up, as the recipe, and those on digits none.
CHANGES = {
    "meta loss: GCE (q = 0.7)": "shared-gce",
    "meta loss: JS (0.5)": "shared-js",
    "HOLD_NORM = 0": "shared-hold-0",
    "HOLD_NORM = 1": "shared-hold-1",
    "features: margin statistics": "shared-statistics",
    "features: margin context": "shared-context",
    "meta samples held out": "noisy",
}
PANELS = {"digits": "", "Fashion-MNIST": "-warm3", "CIFAR-10": "-warm3"}
MARKS = {"GCE": ("o", "#3d78c9"), "SL": ("s", "#3fa08a"), "PolySoft": ("D", "#d1583d")}
MARKS |= {"JS": ("v", "#9a6fb0")}


def mean_gain(runs: list[Run], data: str, variant: str, recipe: str, family: str) -> float | None:
    """Return the gain over the recipe in the mean of the noises; ``None`` if one was not run."""
    noises = sorted({run.noise for run in runs if run.data == data})
    method = f"A-{family}"
    found = [gain(runs, data, noise, (variant, method), (recipe, method)) for noise in noises]
    gains = [each for each in found if each is not None]
    return statistics.mean(gains) if len(gains) == len(noises) else None


def main() -> None:
    """Draw a panel for each data set: a row for each change, a mark for each loss."""
    plt.rcParams["svg.hashsalt"] = "metaloss"  # the same file each time
    runs = read()
    figure, panels = plt.subplots(
        1, len(PANELS), figsize=(9, 3.3), sharex=True, sharey=True, layout="constrained"
    )
    for axes, (data, suffix) in zip(panels, PANELS.items(), strict=True):
        axes.axvline(0, color="#bbbbbb", linewidth=1, zorder=0)
        for i, family in enumerate(FAMILIES):
            marker, color = MARKS[family]
            variants = [variant + suffix for variant in CHANGES.values()]
            gains = [mean_gain(runs, data, each, f"shared{suffix}", family) for each in variants]
            rows = [row + 0.12 * (i - 1.5) for row in range(len(CHANGES))]
            axes.scatter(gains, rows, marker=marker, color=color, s=26, label=f"A-{family}")
        axes.set_title(data if suffix else f"{data}, no warm-up", fontsize=10)
        axes.grid(axis="x", alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(range(len(CHANGES)), list(CHANGES))
    panels[0].invert_yaxis()
    figure.supxlabel("test accuracy less that of the recipe, in points", fontsize=10)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
    figure.savefig(PICTURE, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
