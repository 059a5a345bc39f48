"""What a criterion costs in a training step, as a multiple of nn.CrossEntropyLoss.

Forward and backward passes of the criteria are timed inside the steps of a small network, because
a loop over a criterion alone keeps it in the processor's caches, where no training step finds it.
"""

import statistics
import time

import torch
from torch import nn

import metaloss  # noqa: F401 - first: it mends torchvision beside a CPU build of torch
from metaloss import AdjustedLoss, Adjuster
from metaloss.conditioners import Margin, MarginStatistics
from metaloss.losses import GCE, JS, SL, PolySoft

BATCH, CLASSES = 128, 10


def criteria() -> dict[str, nn.Module]:
    """Cross entropy, and frozen adjusters that need no ids."""
    found: dict[str, nn.Module] = {"nn.CrossEntropyLoss": nn.CrossEntropyLoss()}
    for loss in (GCE(), SL(), PolySoft(), JS()):
        for name, conditioner in (("margin", Margin()), ("statistics", MarginStatistics())):
            adjuster = Adjuster.for_loss(loss, conditioner).requires_grad_(False)
            found[f"{loss.family}, {name}"] = AdjustedLoss(loss, conditioner, adjuster)
    return found


def main(steps: int = 100) -> dict[str, float]:
    """Print and return the median time of each criterion, relative to cross entropy."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    block = [nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
    net = nn.Sequential(*block, nn.Flatten(), nn.Linear(16, CLASSES))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    inputs, labels = torch.randn(BATCH, 3, 16, 16), torch.randint(CLASSES, (BATCH,))
    compared, times = criteria(), {}
    for _ in range(steps):
        for name, criterion in compared.items():
            outputs = net(inputs)
            logits = outputs.detach().requires_grad_()
            start = time.thread_time()
            criterion(logits, labels).backward()
            times.setdefault(name, []).append(time.thread_time() - start)
            optimizer.zero_grad()
            outputs.backward(logits.grad)
            optimizer.step()
    medians = {name: statistics.median(found[steps // 10 :]) for name, found in times.items()}
    ratios = {name: value / medians["nn.CrossEntropyLoss"] for name, value in medians.items()}
    for name, ratio in ratios.items():
        print(f"{name:30} {1e6 * medians[name]:7.0f} us {ratio:6.2f}")
    return ratios


if __name__ == "__main__":
    main()
