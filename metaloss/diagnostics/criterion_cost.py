"""What a criterion costs in a training step."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping

import torch
from torch import nn

from metaloss.checks import check_at_least
from metaloss.machine import threads
from metaloss.objective import AdjustedLoss

BATCH, CLASSES = 128, 10


def criterion_costs(criteria: Mapping[str, AdjustedLoss], steps: int = 50) -> dict[str, float]:
    """Return the time of each criterion's forward and backward pass, relative to cross entropy's.

    The criteria are timed in turn, inside the training steps of a small network with 128 samples
    and 10 classes: a loop over a criterion alone would keep it in the processor's caches, where no
    training step finds it. Processor time of one thread on the CPU; medians over the steps.

    Args:
        criteria: by name; their conditioners are prepared anew.
        steps: the number of steps of each criterion.

    Example:
        >>> from metaloss import AdjustedLoss
        >>> from metaloss.diagnostics.criterion_cost import criterion_costs
        >>> from metaloss.losses import GCE
        >>> costs = criterion_costs({"GCE": AdjustedLoss.fixed(GCE())}, steps=2)
        >>> costs["GCE"] > 0
        True
    """
    check_at_least("steps", steps, 1)
    with threads(1):
        return _costs(criteria, steps)


def _costs(criteria: Mapping[str, AdjustedLoss], steps: int) -> dict[str, float]:
    block = [nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
    net = nn.Sequential(*block, nn.Flatten(), nn.Linear(16, CLASSES))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    inputs, labels = torch.randn(BATCH, 3, 16, 16), torch.arange(BATCH) % CLASSES
    index = torch.arange(BATCH)
    compared: dict[str | None, nn.Module] = {None: nn.CrossEntropyLoss()}
    for name, criterion in criteria.items():
        criterion.prepare(labels, CLASSES)
        criterion.progress(0.0)
        compared[name] = criterion
    times: dict[str | None, list[float]] = {name: [] for name in compared}
    for _ in range(steps + steps // 10):
        for key, each in compared.items():
            outputs = net(inputs)
            logits = outputs.detach().requires_grad_()
            given = (logits, labels) if key is None else (logits, labels, index)
            start = time.thread_time()
            each(*given).backward()
            times[key].append(time.thread_time() - start)
            optimizer.zero_grad()
            outputs.backward(logits.grad)
            optimizer.step()
    medians = {key: statistics.median(found[steps // 10 :]) for key, found in times.items()}
    return {name: medians[name] / medians[None] for name in criteria}
