"""The conditioners under test and their batches."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from metaloss import conditioners
from metaloss.conditioners import (
    ClassGroup,
    ClassOneHot,
    Concat,
    Conditioner,
    Flipped,
    LossValue,
    Magnitude,
    Margin,
    MovingAverage,
    Progress,
    RunningMean,
)
from metaloss.kinds import REGRESSION
from metaloss.losses import GCE

SAMPLES = 40
Build = Callable[[int], Conditioner]
"""Builds a conditioner from the number of classes."""


def _flipped(num_classes: int) -> Conditioner:
    return Flipped(torch.arange(SAMPLES) % 3 == 0)


# How to build a conditioner that cannot be built without arguments.
_BUILT_WITH_ARGUMENTS: dict[str, dict[str, Build]] = {
    "ClassOneHot": {"ClassOneHot": ClassOneHot},
    "ClassGroup": {
        "ClassGroup": lambda classes: ClassGroup(num_groups=2),
        "ClassGroup-given": lambda classes: ClassGroup(2, groups=[k % 2 for k in range(classes)]),
    },
    "Concat": {
        "Concat": lambda classes: Concat([Margin(), LossValue(), Progress()]),
        "Concat-nested": lambda classes: Concat(
            [MovingAverage(Concat([Margin(), LossValue()])), ClassOneHot(classes)]
        ),
    },
    "Flipped": {"Flipped": _flipped},
    "LossValue": {
        "LossValue": lambda classes: LossValue(),
        "LossValue-GCE": lambda classes: LossValue(GCE()),
    },
    "Magnitude": {
        "Magnitude": lambda classes: Magnitude(Margin()),
        "Magnitude-of-average": lambda classes: Magnitude(MovingAverage(Margin())),
    },
    "RunningMean": {
        "RunningMean": lambda classes: RunningMean(Margin(), decay=0.7),
        "RunningMean-of-average": lambda classes: RunningMean(MovingAverage(LossValue())),
    },
    "MovingAverage": {
        "MovingAverage": lambda classes: MovingAverage(Margin()),
        "MovingAverage-twice": lambda classes: MovingAverage(
            MovingAverage(LossValue(), decay=0.2), decay=0.9
        ),
    },
}


def conditioner_classes() -> list[type[Conditioner]]:
    """Return every concrete conditioner that ``metaloss.conditioners`` exports for classes."""
    exported = (getattr(conditioners, name) for name in conditioners.__all__)
    return [
        item
        for item in exported
        if inspect.isclass(item) and issubclass(item, Conditioner) and not inspect.isabstract(item)
        if item.kind != REGRESSION
    ]


def builders() -> dict[str, Build]:
    """Return a builder for every exported conditioner, by name."""
    found: dict[str, Build] = {}
    for item in conditioner_classes():
        without_arguments = {item.__name__: partial(_ignoring_classes, item)}
        found.update(_BUILT_WITH_ARGUMENTS.get(item.__name__, without_arguments))
    return found


def _ignoring_classes(item: type[Conditioner], num_classes: int) -> Conditioner:
    return item()


class Drawn(NamedTuple):
    """The arguments of a conditioner."""

    outputs: Tensor
    targets: Tensor
    index: Tensor


def training_labels(num_classes: int) -> Tensor:
    """Return the labels of the training set, of which class 0 is the most frequent."""
    generator = torch.Generator().manual_seed(11)
    drawn = torch.randint(num_classes, (SAMPLES,), generator=generator)
    return torch.where(torch.arange(SAMPLES) % 4 == 0, 0, drawn)


def drawn(
    num_classes: int = 5,
    batch: int = 7,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    scale: float = 2.0,
) -> Drawn:
    """Return a batch of distinct samples with random logits."""
    generator = torch.Generator().manual_seed(seed)
    index = torch.randperm(SAMPLES, generator=generator)[:batch]
    outputs = scale * torch.randn(batch, num_classes, generator=generator, dtype=torch.float64)
    return Drawn(outputs.to(dtype), training_labels(num_classes)[index], index)


def ready(build: Build, num_classes: int = 5) -> Conditioner:
    """Return a conditioner in the middle of training: prepared, and with some samples observed."""
    conditioner = build(num_classes)
    conditioner.prepare(training_labels(num_classes), num_classes)
    conditioner.set_progress(0.3)
    for seed in (100, 101):  # half of the samples, so that some have no past
        conditioner.observe(*drawn(num_classes, batch=SAMPLES // 4, seed=seed))
    return conditioner
