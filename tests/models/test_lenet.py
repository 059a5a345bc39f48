"""LeNet, which memorizes its training set."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from metaloss.checks import InputError
from metaloss.models import LeNet


@pytest.mark.parametrize(("channels", "size"), [(1, 8), (3, 9), (1, 28), (3, 32)])
def test_any_size(channels: int, size: int) -> None:
    model = LeNet(channels, num_classes=7, size=size, width=4, hidden=20)
    assert model(torch.randn(2, channels, size, size)).shape == (2, 7)


@pytest.mark.parametrize(
    ("channels", "classes", "size", "width", "hidden"), [(1, 10, 28, 16, 512), (3, 5, 9, 4, 20)]
)
def test_parameter_count(channels: int, classes: int, size: int, width: int, hidden: int) -> None:
    kernels = 9 * (channels * width + width * 2 * width)
    norms = 2 * (width + 2 * width)
    side = (size + 3) // 4
    dense = (2 * width * side * side + 1) * hidden + (hidden + 1) * classes
    model = LeNet(channels, classes, size, width, hidden)
    assert sum(p.numel() for p in model.parameters()) == kernels + norms + dense


def test_it_learns_random_labels_by_heart() -> None:
    model = LeNet(1, 10, size=12)
    inputs, targets = torch.randn(300, 1, 12, 12), torch.randint(10, (300,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
    for _ in range(20):
        for batch in torch.randperm(300).split(50):
            optimizer.zero_grad()
            F.cross_entropy(model(inputs[batch]), targets[batch]).backward()
            optimizer.step()
    assert (model.eval()(inputs).argmax(1) == targets).float().mean() > 0.95


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((0, 10), "in_channels"),
        ((1, 1), "num_classes"),
        ((1, 10, 3), "size"),
        ((1, 10, 28, 0), "width"),
        ((1, 10, 28, 16, 0), "hidden"),
    ],
)
def test_bad_sizes_are_refused(arguments: tuple, word: str) -> None:
    with pytest.raises(InputError, match=word):
        LeNet(*arguments)


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(InputError, match=r"expected images of 28x28, got \[32, 32\]"):
        LeNet(1, 10)(torch.zeros(2, 1, 32, 32))
