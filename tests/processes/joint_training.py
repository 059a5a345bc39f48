"""A small training whose batch one process has, or several have a part of each."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from metaloss import AdjustedLoss, Adjuster
from metaloss.bilevel import ClipNorm, Lookahead, Lookback
from metaloss.conditioners import (
    ClassMargins,
    Concat,
    LossValue,
    Margin,
    MarginStatistics,
    MovingAverage,
    RunningMean,
)
from metaloss.losses import GCE, SL, WeightedCE
from metaloss.processes import rank, world_size

BATCH, STEPS = 12, 4


@dataclass(frozen=True)
class Case:
    """How the training is made."""

    loss: Any = field(default_factory=GCE)
    conditioner: Any = field(default_factory=Margin)
    optimizer: Any = torch.optim.SGD
    settings: dict[str, Any] = field(default_factory=lambda: {"lr": 0.3, "momentum": 0.9})
    lookback: dict[str, Any] = field(default_factory=dict)
    lookahead: bool = False
    parts: int = 1


CASES = {
    "one step": Case(),
    "three steps": Case(lookback={"steps": 3}),
    "no forward mode": Case(loss=SL(), lookback={"strategy": "unroll", "steps": 2}),
    "differences": Case(lookback={"strategy": "difference"}),
    "clipped": Case(lookback={"clip": ClipNorm(0.1)}),
    "norm held": Case(lookback={"hold_norm": 0.9}, loss=WeightedCE(), conditioner=LossValue()),
    "adam": Case(
        optimizer=torch.optim.AdamW, settings={"lr": 0.01}, conditioner=RunningMean(Margin())
    ),
    "statistics": Case(conditioner=MarginStatistics(), lookback={"steps": 2}),
    "ids": Case(conditioner=Concat([Margin(), MovingAverage(Margin())])),
    "statistics and ids": Case(
        conditioner=Concat(
            [Concat([MarginStatistics(), MovingAverage(Margin())]), RunningMean(ClassMargins())]
        )
    ),
    "micro-batches": Case(conditioner=MarginStatistics(), parts=3),
    "lookahead": Case(lookahead=True, lookback={"steps": 2}, loss=SL()),
}
FEW = ["statistics", "clipped", "lookahead"]


def network() -> nn.Module:
    """A network without batch normalization, in float64."""
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 4)).double()


def own_part(rows: Tensor) -> Tensor:
    """The rows of this process: a consecutive part."""
    return rows.chunk(world_size())[rank()]


def trained(name: str) -> dict[str, Any]:
    """Train for some steps; return each hypergradient, the adjuster and the weights."""
    case = copy.deepcopy(CASES[name])
    model = network()
    adjuster = Adjuster.for_loss(case.loss, case.conditioner, hidden=8).double()
    criterion = AdjustedLoss(case.loss, case.conditioner, adjuster).double()
    draws = torch.Generator().manual_seed(0)
    inputs = torch.randn(STEPS * BATCH, 6, dtype=torch.float64, generator=draws)
    targets = torch.randint(4, (STEPS * BATCH,), generator=draws)
    clean = torch.randn(8, 6, dtype=torch.float64, generator=draws), torch.arange(8) % 4
    criterion.prepare(targets, 4)
    optimizer = case.optimizer(model.parameters(), **case.settings)
    learner = torch.optim.Adam(criterion.adjuster.parameters(), lr=0.05)
    wrapped = DistributedDataParallel(model) if world_size() > 1 else model
    lookback = Lookback(**case.lookback)
    ids = torch.arange(STEPS * BATCH).chunk(STEPS)
    found = []
    for k in range(STEPS):
        batches = [
            (inputs[mine], targets[mine], mine) for mine in map(own_part, ids[k].chunk(case.parts))
        ]
        judges = own_part(clean[0]), own_part(clean[1])
        if case.lookahead:
            looked = Lookahead(**case.lookback)
            ahead = [batches[0]] * looked.steps
            found.append(looked.hypergradient(wrapped, optimizer, criterion, ahead, judges))
        with lookback.step(
            wrapped, optimizer, criterion, batches if case.parts > 1 else batches[0]
        ):
            optimizer.zero_grad()
            for x, y, i in batches:
                (criterion(wrapped(x), y, i) / case.parts).backward()
            if lookback.clip is not None:
                lookback.clip.clip_(model.parameters())
            optimizer.step()
        if not case.lookahead and lookback.watched == lookback.steps:
            found.append(lookback.hypergradient(judges))
        if found:
            learner.zero_grad()
            for key, p in criterion.adjuster.named_parameters():
                p.grad = found[-1][key].clone()
            learner.step()
    return {
        "hypergradients": found,
        "adjuster": dict(criterion.state_dict()),
        "weights": dict(model.state_dict()),
    }


def all_trained(names: list[str]) -> dict[str, Any]:
    """The results of some of the cases, by name."""
    return {name: trained(name) for name in names}
