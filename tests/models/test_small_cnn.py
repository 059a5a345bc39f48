"""The small convolutional network."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

from metaloss.checks import InputError
from metaloss.models import SmallCNN


@pytest.mark.parametrize(("channels", "size"), [(1, 8), (1, 28), (3, 32)])
def test_output_shape(channels: int, size: int) -> None:
    model = SmallCNN(channels, num_classes=7, width=4)
    assert model(torch.randn(2, channels, size, size)).shape == (2, 7)


@pytest.mark.parametrize(("channels", "classes", "width"), [(1, 10, 32), (3, 100, 8)])
def test_parameter_count(channels: int, classes: int, width: int) -> None:
    kernels = 9 * (channels * width + width * 2 * width + 2 * width * 4 * width)
    norms = 2 * (width + 2 * width + 4 * width)
    head = (4 * width + 1) * classes
    model = SmallCNN(channels, classes, width)
    assert sum(p.numel() for p in model.parameters()) == kernels + norms + head


def test_it_learns_digits() -> None:
    digits = load_digits()
    inputs = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
    targets = torch.tensor(digits.target)
    torch.manual_seed(0)
    model = SmallCNN(1, 10, width=16)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for batch in torch.randperm(1500).repeat(4).split(100):
        optimizer.zero_grad()
        F.cross_entropy(model(inputs[batch]), targets[batch]).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        correct = model(inputs[1500:]).argmax(1) == targets[1500:]
    assert correct.float().mean() > 0.9  # 297 held-out digits; chance is 0.1


@pytest.mark.parametrize(
    ("arguments", "word"),
    [((0, 10), "in_channels"), ((1, 1), "num_classes"), ((1, 10, 0), "width")],
)
def test_bad_sizes_are_refused(arguments: tuple, word: str) -> None:
    with pytest.raises(InputError, match=word):
        SmallCNN(*arguments)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    "inputs",
    [
        torch.zeros(2, 3, 8, 8),
        torch.zeros(2, 8, 8),
        torch.zeros(2, 1, 8, 8, dtype=torch.uint8),
    ],
    ids=["channels", "no channels", "dtype"],
)
def test_bad_inputs_are_refused(inputs: torch.Tensor) -> None:
    with pytest.raises(InputError, match=r"floating-point images \[batch, 1, height, width\]"):
        SmallCNN(1, 10, width=4)(inputs)
