"""What each of several processes sees of the others' values and errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from pytest import MonkeyPatch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from metaloss import AdjustedLoss, Adjuster, InputError
from metaloss.bilevel import Lookahead, Lookback
from metaloss.conditioners import Margin, MarginStatistics, RunningMean
from metaloss.losses import GCE
from metaloss.processes import (
    alone,
    check_same,
    joint_rows,
    largest_over,
    mean_over,
    on_first,
    rank,
    share,
    sum_over,
    world_size,
)
from metaloss.tasks import BatchLoader
from metaloss.training import evaluate
from metaloss.types import Batch
from tests.processes.joint_training import FEW, all_trained


def values() -> dict[str, Any]:
    """The results of each function, where process r has r, r + 1, ..."""
    here = torch.arange(2.0) + rank()
    shared = here.clone()
    share([shared])
    with alone():
        apart = world_size(), mean_over([here])[0]
    return {
        "mean": mean_over([here, here.long() * 2, torch.complex(here, -here)]),
        "sum": sum_over([here]),
        "rows": joint_rows([here[: rank()], torch.arange(4).view(2, 2)[: rank()]]),
        "largest": largest_over(here[1]),
        "shared": shared,
        "alone": apart,
    }


def said(call: Any) -> str:
    """The message of the InputError that a call raises."""
    try:
        call()
    except InputError as error:
        return str(error)
    return "nothing"


@on_first
def first(fails: bool) -> int:
    """What only process 0 does, as a file would show."""
    assert rank() == 0
    assert world_size() == 1
    if fails:
        raise InputError("file: expected one, got none")
    return torch.initial_seed()


def errors() -> dict[str, Any]:
    """The messages of errors, which all processes have to raise."""
    torch.manual_seed(rank())
    weights = {"same": torch.ones(3), "differs": torch.tensor([1.0, float(rank())])}
    model = nn.Linear(3, 2)
    wrapped = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    adjuster = Adjuster.for_loss(GCE(), Margin())  # by process, as each has its own seed
    criterion = AdjustedLoss(GCE(), Margin(), adjuster)
    batch = torch.randn(4, 3), torch.tensor([0, 1, 0, 1])
    arguments = wrapped, optimizer, criterion, [batch], batch
    lookback = Lookback()
    with lookback.step(wrapped, optimizer, criterion, batch):
        optimizer.zero_grad()
        criterion(wrapped(batch[0]), batch[1]).backward()
        optimizer.step()
    found = {
        "same": said(lambda: check_same("weights", {"same": weights["same"]})),
        "differs": said(lambda: check_same("weights", weights)),
        "first": first(False),
        "first fails": said(lambda: first(True)),
        "lookback": said(lambda: lookback.hypergradient(batch)),
        "lookahead": said(lambda: Lookahead().hypergradient(*arguments)),
    }
    share(criterion.parameters())
    unroll = Lookahead(strategy="unroll")
    found["unroll"] = said(lambda: unroll.hypergradient(*arguments))
    return found


def padded_text() -> dict[str, Any]:
    """A criterion that remembers, called with sequences of another length on each process."""
    adjuster = Adjuster.for_loss(GCE(), MarginStatistics(), hidden=4)
    criterion = AdjustedLoss(GCE(), MarginStatistics(), adjuster)
    draws = torch.Generator().manual_seed(0)
    outputs = torch.randn(2, 5, 7, generator=draws, requires_grad=True)
    targets = torch.randint(5, (2, 7), generator=draws)
    length = 7 - 2 * rank()
    targets[:, length:] = -100
    if world_size() > 1:
        outputs, targets = outputs[rank() :][:1, :, :length], targets[rank() :][:1, :length]
    else:
        targets[1, 5:] = -100
    criterion(outputs, targets)
    return {"memory": dict(criterion.conditioner.state_dict())}


def sent() -> dict[str, list[int]]:
    """How many numbers each message of a call holds, with conditioners of classes or of samples."""
    found: dict[str, list[int]] = {}
    for conditioner in (MarginStatistics(), RunningMean(Margin())):
        adjuster = Adjuster.for_loss(GCE(), conditioner, hidden=4)
        criterion = AdjustedLoss(GCE(), conditioner, adjuster)
        sizes = found[type(conditioner).__name__] = []
        with MonkeyPatch.context() as patch:
            for name, position in (("all_reduce", 0), ("all_gather", 1)):
                patch.setattr(dist, name, _measured(getattr(dist, name), position, sizes))
            criterion(torch.randn(2, 5, 50, requires_grad=True), torch.randint(5, (2, 50)))
    return found


def _measured(call: Any, position: int, sizes: list[int]) -> Any:
    def measured(*arguments: Any, **named: Any) -> Any:
        sizes.append(arguments[position].numel())
        return call(*arguments, **named)

    return measured


class Counted(BatchLoader):
    """Counts the samples that are read."""

    read = 0

    def epoch(self, number: int) -> Iterator[Batch]:
        for batch in super().epoch(number):
            Counted.read += len(batch.targets)
            yield batch


def evaluations() -> list[dict[str, Any]]:
    """The evaluation of 1 to 7 samples, in batches of 2, and how many samples were read."""
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(7, 3, generator=generator), torch.arange(7) % 3
    found = []
    for count in (1, 2, 7):
        loader = Counted(
            logits[:count], labels[:count], min(2, count), shuffle=False, drop_last=False
        )
        Counted.read = 0
        score, loss, cells = evaluate(nn.Identity(), loader, confusion=True)
        found.append({"result": [score, loss, *cells.flatten().tolist()], "read": Counted.read})
    return found


def all_of_it() -> dict[str, Any]:
    """Everything above."""
    return {
        "values": values(),
        "errors": errors(),
        "text": padded_text(),
        "sent": sent(),
        "evaluations": evaluations(),
        "joint": all_trained(FEW),
    }
