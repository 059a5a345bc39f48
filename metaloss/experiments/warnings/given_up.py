"""A warning if a loss has given up whole classes, which shows in the training samples alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from metaloss.experiments.warnings.settable import settable

# A network that made fewer steps has not learned yet.
FEWEST_STEPS = 100
# A class of fewer training samples may be missed by chance.
FEWEST_SAMPLES = 20
# A class is given up if no larger part of its samples is predicted as labelled.
SMALL = 0.01


def given_up(
    samples: Mapping[str, Tensor], names: Sequence[str], steps: int, warmup_epochs: int
) -> list[str]:
    """Look for classes whose label the network predicts for none of the samples that have it.

    A robust loss ignores samples with low margins. If it ignores them while all samples of a class
    still have low ones, the network never learns the class. No right labels are needed to see this:
    however noisy they are, a network that learned a class predicts it for some of its samples.

    There is no warning for a network that has not learned yet: one that made few steps, or predicts
    fewer than half of the classes.

    Args:
        samples: what :func:`~metaloss.experiments.collect` returns.
        names: the names of the classes.
        steps: the number of steps that the network made.
        warmup_epochs: the number of epochs of cross entropy that it began with.

    Returns:
        One line or none.

    Example:
        >>> import torch
        >>> from metaloss.experiments.warnings.given_up import given_up
        >>> targets = torch.arange(3).repeat_interleave(50)
        >>> margin = torch.where(targets == 2, -1.0, 1.0)
        >>> (line,) = given_up(
        ...     {"targets": targets, "margin": margin}, ("cat", "dog", "fox"), 500, 0
        ... )
        >>> line[:72]
        "'fox': expected some of its 50 training samples to be predicted as label"
    """
    if "margin" not in samples or steps < FEWEST_STEPS:
        return []
    known = samples["targets"] >= 0  # an ignored label is negative
    targets, fits = samples["targets"][known], samples["margin"][known] > 0
    sizes = torch.bincount(targets, minlength=len(names))
    found = torch.bincount(targets[fits], minlength=len(names))
    lost = torch.nonzero((sizes >= FEWEST_SAMPLES) & (found <= SMALL * sizes)).flatten().tolist()
    if not lost or 2 * len(lost) > int((sizes > 0).sum()):
        return []
    shown = ", ".join(repr(names[k]) for k in lost[:3])
    more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
    its, it = ("its", "it") if len(lost) == 1 else ("their", "them")
    size, got = int(sizes[lost].sum()), int(found[lost].sum())
    advice = f"Let the network learn {it} before the loss begins {settable('WARMUP_EPOCHS = 3')}"
    if warmup_epochs > 0:
        longer = settable("WARMUP_EPOCHS")
        advice = (
            f"Use SL, which gives up fewer, or more than {warmup_epochs} epochs of warm-up {longer}"
        )
    return [
        f"{shown}{more}: expected some of {its} {size:,} training samples to be predicted as "
        f"labelled, got {got or 'none'}: the loss has given {it} up, as if all these labels were "
        f"wrong. {advice}"
    ]
