"""Draw ``_static/noisy-risk.svg``: the expected loss of a sample whose label is often wrong.

    python docs/scripts/plot_noisy_risk.py

There are ten classes, and the wrong ones share the rest of the probability alike.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import torch

from metaloss.meta_losses import MAE, CrossEntropy, MetaLoss

CLASSES, RATE = 10, 0.4


def risk(meta_loss: MetaLoss, p: float) -> float:
    """The expected loss where the probability of the true class is ``p``."""
    rest = torch.full((CLASSES - 1,), (1 - p) / (CLASSES - 1), dtype=torch.float64)
    outputs = torch.cat([torch.tensor([p], dtype=torch.float64), rest]).log()[None]
    chances = [1 - RATE] + [RATE / (CLASSES - 1)] * (CLASSES - 1)
    losses = [float(meta_loss(outputs, torch.tensor([label]))) for label in range(CLASSES)]
    return sum(chance * loss for chance, loss in zip(chances, losses, strict=True))


def main() -> None:
    """Draw it."""
    p = torch.linspace(0.02, 0.999, 200).tolist()
    plt.rcParams["svg.hashsalt"] = "metaloss"  # the same file each time
    figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
    for name, meta_loss, color in (
        ("cross entropy", CrossEntropy(), "#d1583d"),
        ("MAE", MAE(), "#3d78c9"),
    ):
        values = [risk(meta_loss, each) for each in p]
        lowest = min(range(len(p)), key=values.__getitem__)
        axes.plot(p, values, color=color, label=f"{name}: lowest at {p[lowest]:.1f}")
        axes.plot(p[lowest], values[lowest], "o", color=color)
    axes.set(
        xlabel="probability of the true class",
        ylabel="expected loss",
        ylim=(0, 4),
        title="40% wrong labels, ten classes",
    )
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(
        Path(__file__).parents[1] / "_static" / "noisy-risk.svg", metadata={"Date": None}
    )


if __name__ == "__main__":
    main()
