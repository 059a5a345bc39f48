"""The pre-activation residual network."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metaloss.models import ResNet, preact_resnet18


def reference_count(classes: int, channels: int, width: int) -> int:
    """The number of parameters: stem, two blocks a stage, projections, last normalization, head."""
    total = 9 * channels * width
    before = width
    for stage in range(4):
        after = width * 2**stage
        total += 2 * before + 9 * before * after + 2 * after + 9 * after * after
        total += 2 * (2 * after + 9 * after * after)
        total += before * after if stage else 0
        before = after
    return total + 2 * before + (before + 1) * classes


@pytest.mark.parametrize(("classes", "channels", "width"), [(200, 3, 64), (10, 1, 8)])
def test_parameter_count(classes: int, channels: int, width: int) -> None:
    with torch.device("meta"):
        model = preact_resnet18(classes, channels, width)
    assert sum(p.numel() for p in model.parameters()) == reference_count(classes, channels, width)


def test_parameter_count_is_the_known_one() -> None:
    with torch.device("meta"):
        model = preact_resnet18(10)
    # 11,171,146 as widely reimplemented for CIFAR, without the last normalization of 512 channels.
    assert sum(p.numel() for p in model.parameters()) == 11_171_146 + 2 * 512


@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 32), (3, 64)])
def test_output_shape(channels: int, size: int) -> None:
    model = preact_resnet18(200, channels, width=4)
    assert model(torch.randn(2, channels, size, size)).shape == (2, 200)


def reference(model: ResNet, inputs: Tensor) -> Tensor:
    """The network in evaluation, from its weights in the order of the layers."""
    state = iter(model.state_dict().values())

    def bn_relu(inputs: Tensor) -> Tensor:
        weight, bias, mean, var, _ = (next(state) for _ in range(5))
        mean, var, weight, bias = (t[:, None, None] for t in (mean, var, weight, bias))
        return ((inputs - mean) / torch.sqrt(var + 1e-5) * weight + bias).clamp(min=0)

    hidden = F.conv2d(inputs, next(state), padding=1)
    for position in range(8):
        halved = position in (2, 4, 6)
        active = bn_relu(hidden)
        branch = F.conv2d(active, next(state), padding=1, stride=2 if halved else 1)
        branch = F.conv2d(bn_relu(branch), next(state), padding=1)
        hidden = branch + (F.conv2d(active, next(state), stride=2) if halved else hidden)
    hidden = bn_relu(hidden)
    weight, bias = state
    return hidden.flatten(2).mean(2) @ weight.T + bias


def test_forward_follows_the_paper() -> None:
    torch.manual_seed(0)
    model = preact_resnet18(7, width=4).double().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    inputs = torch.randn(2, 3, 17, 16, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(model(inputs), reference(model, inputs))
