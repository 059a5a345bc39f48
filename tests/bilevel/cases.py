"""Optimizers, criteria, batches and trainings to differentiate through."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from metaloss import AdjustedLoss, Adjuster
from metaloss.bilevel.lookahead import STRATEGIES
from metaloss.conditioners import Concat, Conditioner, LossValue, Margin
from metaloss.losses import GCE, LossFamily
from tests.bilevel.models import CLASSES, mlp
from tests.helpers.hypergradients import Batch, Training

SAMPLES = 40
EXACT = [name for name in STRATEGIES if name not in {"difference", "auto"}]
"""The strategies that are exact."""

MakeOptimizer = Callable[[Iterable[Any]], torch.optim.Optimizer]

# The first step of Adam or RMSprop is nearly the gradient's sign. With the usual eps of 1e-8 there
# would be no slope to measure.
OPTIMIZERS: dict[str, MakeOptimizer] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.3),
    "SGD-momentum": lambda p: torch.optim.SGD(p, lr=0.2, momentum=0.9),
    "SGD-dampening": lambda p: torch.optim.SGD(p, lr=0.2, momentum=0.9, dampening=0.4),
    "SGD-Nesterov": lambda p: torch.optim.SGD(
        p, lr=0.2, momentum=0.9, nesterov=True, weight_decay=0.05
    ),
    "SGD-decay": lambda p: torch.optim.SGD(p, lr=0.3, weight_decay=0.1),
    "SGD-maximize": lambda p: torch.optim.SGD(
        p, lr=0.2, momentum=0.5, weight_decay=0.1, maximize=True
    ),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.05, eps=1e-2),
    "Adam-decay": lambda p: torch.optim.Adam(
        p, lr=0.05, betas=(0.5, 0.9), eps=1e-2, weight_decay=0.1
    ),
    "Adam-maximize": lambda p: torch.optim.Adam(
        p, lr=0.05, eps=1e-2, weight_decay=0.1, maximize=True
    ),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.05, eps=1e-2, weight_decay=0.1),
    "AdamW-maximize": lambda p: torch.optim.AdamW(p, lr=0.05, eps=1e-2, maximize=True),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.02, eps=1e-2),
    "RMSprop-momentum": lambda p: torch.optim.RMSprop(
        p, lr=0.02, alpha=0.9, eps=1e-2, momentum=0.8, weight_decay=0.1
    ),
    "RMSprop-centered": lambda p: torch.optim.RMSprop(p, lr=0.02, eps=1e-2, centered=True),
    "RMSprop-maximize": lambda p: torch.optim.RMSprop(
        p, lr=0.02, eps=1e-2, momentum=0.8, centered=True, weight_decay=0.1, maximize=True
    ),
}


def batch(seed: int, size: int = 10, dtype: torch.dtype = torch.float64) -> Batch:
    """Return images, noisy labels and sample ids."""
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(size, 1, 6, 6, generator=generator, dtype=torch.float64).to(dtype),
        torch.randint(CLASSES, (size,), generator=generator),
        torch.randperm(SAMPLES, generator=generator)[:size],
    )


def two_features() -> Conditioner:
    return Concat([Margin(), LossValue()])


def learned(
    loss: LossFamily | None = None,
    conditioner: Conditioner | None = None,
    detach: bool = False,
) -> AdjustedLoss:
    """Return a criterion with a learnable adjuster, in float64."""
    loss = GCE() if loss is None else loss
    conditioner = two_features() if conditioner is None else conditioner
    adjuster = Adjuster.for_loss(loss, conditioner, hidden=6)
    return AdjustedLoss(loss, conditioner, adjuster, detach).double()


def training(
    model: nn.Module | None = None,
    make_optimizer: MakeOptimizer = OPTIMIZERS["SGD"],
    criterion: AdjustedLoss | None = None,
    steps: int = 1,
    steps_before: int = 0,
) -> Training:
    """Return a training after some real steps, ready for a lookahead."""
    model = (mlp() if model is None else model).double()
    found = Training(
        model=model,
        optimizer=make_optimizer(p for p in model.parameters() if p.requires_grad),
        criterion=learned() if criterion is None else criterion,
        train_batches=[batch(k) for k in range(steps)],
        meta_batch=batch(50)[:2],
    )
    for k in range(steps_before):
        found.step(batch(100 + k))
    found.optimizer.zero_grad()
    found.criterion.zero_grad()
    return found
