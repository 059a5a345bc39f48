"""The families under test and their test points."""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from metaloss import losses
from metaloss.kinds import CLASSIFICATION
from metaloss.losses import (
    GCE,
    JS,
    MAE,
    SL,
    ActivePassive,
    CrossEntropy,
    Fixed,
    Focal,
    HardBootstrapping,
    LabelSmoothing,
    LossFamily,
    NormalizedCE,
    PolySoft,
    Ranged,
    SoftBootstrapping,
    TaylorCE,
    WeightedCE,
)
from tests.helpers import oracles
from tests.helpers.oracles import Numbers, Oracle

Kinked = Callable[[list[float], int, list[float]], bool]


@dataclass(frozen=True)
class Case:
    """A family and its oracle."""

    family: LossFamily
    oracle: Oracle
    kinked: Kinked = lambda logits, target, hparams: False
    """Whether it has no derivative at a point."""
    fractions: tuple[float, ...] | None = None
    """Where in the ranges to differentiate; at the ends and the defaults if not given."""
    sharp_from: float = -math.inf
    """The smallest hyperparameter at which float32 derivatives by it alone are compared."""

    def __str__(self) -> str:
        return str(self.family)


def _holding(oracle: Oracle, held: dict[int, float]) -> Oracle:
    """Return ``oracle`` with the hyperparameters at the positions ``held`` fixed."""

    def loss(logits: Numbers, target: int, hparams: Numbers) -> float:
        full = list(hparams)
        for position in sorted(held):
            full.insert(position, held[position])
        return oracle(logits, target, full)

    return loss


CASES = (
    Case(CrossEntropy(), oracles.cross_entropy),
    Case(MAE(), oracles.mae),
    Case(GCE(), oracles.gce),
    Case(SL(), oracles.sl(-4.0)),
    Case(SL(A=-6.5), oracles.sl(-6.5)),
    Case(PolySoft(), oracles.polysoft),
    Case(JS(), oracles.js, sharp_from=0.05),
    Case(WeightedCE(), oracles.weighted_cross_entropy),
    Case(Focal(), oracles.focal),
    Case(LabelSmoothing(), oracles.label_smoothing),
    Case(
        TaylorCE(),
        oracles.taylor,
        lambda logits, target, hparams: hparams[0] % 1 == 0,
        fractions=(0.05, 0.7),
    ),
    Case(NormalizedCE(), oracles.normalized_cross_entropy),
    Case(ActivePassive(), oracles.active_passive),
    Case(SoftBootstrapping(), oracles.soft_bootstrapping),
    Case(
        HardBootstrapping(),
        oracles.hard_bootstrapping,
        lambda logits, target, hparams: logits.count(max(logits)) > 1,
    ),
    Case(Fixed(PolySoft(), {"d": 3.0}), _holding(oracles.polysoft, {1: 3.0})),
    Case(Fixed(PolySoft(), {"lam": 2.5}), _holding(oracles.polysoft, {0: 2.5})),
    Case(Ranged(GCE(), {"q": (0.1, 0.9)}), oracles.gce),
)

# How to build a family that cannot be built without arguments.
_BUILT_WITH_ARGUMENTS: dict[str, tuple[Callable[[], LossFamily], ...]] = {
    "ForwardCorrected": (),  # it knows its classes apart; see test_forward_corrected.py
    "Fixed": (
        lambda: Fixed(PolySoft(), {"d": 3.0}),
        lambda: Fixed(GCE(), {"q": 0.7}),
        lambda: Fixed(SL(), {}),
    ),
    "Ranged": (
        lambda: Ranged(GCE(), {"q": (0.1, 0.9)}),
        lambda: Ranged(Fixed(SL(), {"gamma_2": 1.0}), {"gamma_1": (0.2, 0.4)}),
    ),
}


def family_classes() -> list[type[LossFamily]]:
    """Return every concrete family that ``metaloss.losses`` exports."""
    exported = (getattr(losses, name) for name in losses.__all__)
    return [
        item
        for item in exported
        if inspect.isclass(item) and issubclass(item, LossFamily) and not inspect.isabstract(item)
    ]


def families() -> list[LossFamily]:
    """Return an instance of every exported family for classes."""
    builders = (_BUILT_WITH_ARGUMENTS.get(item.__name__, (item,)) for item in family_classes())
    built = [build() for several in builders for build in several]
    return [family for family in built if family.kind == CLASSIFICATION]


def logits_and_targets(num_classes: int, per_scale: int) -> tuple[Tensor, Tensor]:
    """Return logits from near uniform to saturated, right and wrong, up to 1e4 in size.

    Args:
        num_classes: number of classes.
        per_scale: samples drawn at each scale.

    Returns:
        ``[samples, num_classes]``, float64 but exact in float32 too, and ``[samples]``.
    """
    generator = torch.Generator().manual_seed(num_classes)
    rows = [torch.zeros(1, num_classes, dtype=torch.float64)]
    for scale in (0.1, 1.0, 10.0, 100.0):
        drawn = torch.randn(per_scale, num_classes, generator=generator, dtype=torch.float64)
        rows.append(scale * drawn)
    targets = torch.randint(num_classes, (1 + 4 * per_scale,), generator=generator)
    label = num_classes // 2
    for offset in (6.0, 30.0, 1e4, -1e4):  # the true class alone apart from the others
        row = torch.zeros(1, num_classes, dtype=torch.float64)
        row[0, label] = offset
        rows.append(row)
    wrong = torch.zeros(1, num_classes, dtype=torch.float64)
    wrong[0, label - 1] = 1e4
    rows += [wrong, torch.full((1, num_classes), 1e4, dtype=torch.float64)]
    targets = torch.cat([targets, torch.full((6,), label)])
    return torch.cat(rows).float().double(), targets


def hparams_grid(family: LossFamily, fractions: tuple[float, ...]) -> Tensor:
    """Return every combination of the defaults and of points of the ranges.

    Args:
        family: whose hyperparameters.
        fractions: where in each range, 0 its low end and 1 its high end; the ends are exact.

    Returns:
        ``[combinations, d']``, float64; one empty row for a family without hyperparameters.
    """
    axes = []
    for h in family.hyperparameters:
        ends = {0.0: h.low, 1.0: h.high}
        inner = [ends.get(f, h.low + f * (h.high - h.low)) for f in fractions]
        axes.append(sorted({*inner, h.default}))
    return torch.tensor(list(itertools.product(*axes)), dtype=torch.float64)


def crossed(logits: Tensor, targets: Tensor, hparams: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return every sample with every row of hyperparameters, as one batch."""
    samples, rows = len(logits), len(hparams)
    return (
        logits.repeat_interleave(rows, dim=0),
        targets.repeat_interleave(rows),
        hparams.repeat(samples, 1),
    )


def moderate(
    family: LossFamily, batch: int = 6, num_classes: int = 4, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Return float64 logits of unit scale and hyperparameters well inside their ranges."""
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn(batch, num_classes, generator=generator, dtype=torch.float64)
    targets = torch.randint(num_classes, (batch,), generator=generator)
    unit = torch.rand(batch, len(family.hyperparameters), generator=generator, dtype=torch.float64)
    low = torch.tensor([h.low for h in family.hyperparameters], dtype=torch.float64)
    high = torch.tensor([h.high for h in family.hyperparameters], dtype=torch.float64)
    return outputs, targets, low + (0.4 + 0.4 * unit) * (high - low)
