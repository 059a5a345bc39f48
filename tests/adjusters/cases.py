"""The adjusters under test and their features."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from metaloss import adjusters
from metaloss.adjusters import (
    Adjuster,
    BaseAdjuster,
    ConstantAdjuster,
    GroupedAdjuster,
    OracleAdjuster,
    ScheduledAdjuster,
)
from metaloss.conditioners import Concat, LossValue, Margin
from metaloss.losses import GCE, JS, SL, LossFamily, PolySoft, WeightedCE

LOSSES: tuple[LossFamily, ...] = (GCE(), SL(), PolySoft(), JS(), WeightedCE())
GROUPS = 3


def any_features(adjuster: BaseAdjuster, batch: int, scale: float, seed: int = 0) -> Tensor:
    """Return random features for an adjuster."""
    generator = torch.Generator().manual_seed(seed)
    width = 2 if adjuster.num_features is None else adjuster.num_features
    return scale * torch.randn(batch, width, generator=generator)


def flips(adjuster: BaseAdjuster, batch: int, scale: float, seed: int = 0) -> Tensor:
    """Return features of ``Flipped``."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(2, (batch, 1), generator=generator).float()


def with_groups(adjuster: BaseAdjuster, batch: int, scale: float, seed: int = 0) -> Tensor:
    """Return random features with one-hot groups in the last columns."""
    features = any_features(adjuster, batch, scale, seed)
    features[:, -GROUPS:] = torch.eye(GROUPS)[torch.arange(batch) % GROUPS]
    return features


@dataclass(frozen=True)
class Case:
    """Builds an adjuster for a loss, and its features."""

    build: Callable[[LossFamily], BaseAdjuster]
    features: Callable[..., Tensor] = any_features


def _scheduled(loss: LossFamily) -> BaseAdjuster:
    return ScheduledAdjuster([Adjuster(2, loss.hyperparameters, hidden=5) for _ in range(3)])


CONDITIONER = Concat([Margin(), LossValue()])

# How to build an adjuster that neither fits itself to a loss nor takes hyperparameters alone.
_BUILT_OTHERWISE: dict[str, Case] = {
    "GroupedAdjuster": Case(
        lambda loss: GroupedAdjuster(2 + GROUPS, GROUPS, loss.hyperparameters, hidden=7),
        with_groups,
    ),
    "OracleAdjuster": Case(lambda loss: OracleAdjuster(loss.hyperparameters), flips),
    "ScheduledAdjuster": Case(_scheduled),
}


def adjuster_classes() -> list[type[BaseAdjuster]]:
    """Return every concrete adjuster that ``metaloss.adjusters`` exports."""
    exported = (getattr(adjusters, name) for name in adjusters.__all__)
    return [
        item
        for item in exported
        if inspect.isclass(item) and issubclass(item, BaseAdjuster) and not inspect.isabstract(item)
    ]


def _by_its_own_means(item: type[BaseAdjuster], loss: LossFamily) -> BaseAdjuster:
    fitted = getattr(item, "for_loss", None)
    return item(loss.hyperparameters) if fitted is None else fitted(loss, CONDITIONER)


def cases() -> dict[str, Case]:
    """Return a case for every exported adjuster, by name."""
    return {
        item.__name__: _BUILT_OTHERWISE.get(item.__name__, Case(partial(_by_its_own_means, item)))
        for item in adjuster_classes()
    }


def learnable() -> dict[str, Case]:
    """Return the cases of learned adjusters."""
    return {
        name: case
        for name, case in cases().items()
        if any(p.requires_grad for p in case.build(GCE()).parameters())
    }


def constant(q: float) -> ConstantAdjuster:
    """Return a constant adjuster of GCE."""
    return ConstantAdjuster(GCE().hyperparameters, {"q": q})
