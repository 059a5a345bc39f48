"""Time training steps of a LeNet with each bundled adjuster that needs no ids.

    python docs/scripts/step_cost.py

Batches of 100, one thread, the criteria in random order; medians, relative to cross entropy.
"""

from __future__ import annotations

import random
import statistics
import time

import torch
from torch import nn

import metaloss
from metaloss.models import LeNet

STEPS, WARM = 400, 20
NAMES = ("gce", "js", "polysoft", "sl")


def main() -> None:
    """Time the steps and print the ratios."""
    torch.set_num_threads(1)
    inputs, labels = torch.randn(100, 1, 28, 28), torch.arange(100) % 10
    criteria: dict[str, nn.Module] = {"cross entropy": nn.CrossEntropyLoss()}
    criteria |= {name: metaloss.from_pretrained(name, total_steps=STEPS) for name in NAMES}
    trained = {}
    for name in criteria:
        model = LeNet(in_channels=1, num_classes=10)
        trained[name] = model, torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    times: dict[str, list[float]] = {name: [] for name in criteria}
    for _ in range(STEPS):
        for name in random.sample(list(criteria), len(criteria)):
            model, optimizer = trained[name]
            start = time.thread_time()
            optimizer.zero_grad()
            criteria[name](model(inputs), labels).backward()
            optimizer.step()
            times[name].append(time.thread_time() - start)
    medians = {name: statistics.median(found[WARM:]) for name, found in times.items()}
    for name, median in medians.items():
        print(f"{name:14} {1e3 * median:5.1f} ms {median / medians['cross entropy']:6.2f}")


if __name__ == "__main__":
    main()
