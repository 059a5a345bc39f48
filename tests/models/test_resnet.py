"""Residual networks for small images."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metaloss.checks import InputError
from metaloss.models import (
    ResNet,
    cifar_resnet,
    resnet8,
    resnet20,
    resnet32,
    resnet34,
)
from metaloss.models.blocks import PaddedShortcut
from metaloss.shim import import_torchvision


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def randomize_statistics(model: nn.Module) -> None:
    """Give every batch normalization statistics that are not the initial ones."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)


def cifar_count(depth: int, classes: int, channels: int, width: int) -> int:
    """The number of parameters, summed layer by layer (section 4.2 of He et al.)."""
    per_stage = (depth - 2) // 3
    widths = [width] * (1 + per_stage) + [2 * width] * per_stage + [4 * width] * per_stage
    convolutions = 9 * (channels * width + sum(a * b for a, b in pairwise(widths)))
    return convolutions + 2 * sum(widths) + (4 * width + 1) * classes


@pytest.mark.parametrize(
    ("depth", "classes", "channels", "width"), [(8, 10, 3, 16), (20, 100, 1, 8), (44, 10, 1, 4)]
)
def test_cifar_parameter_count(depth: int, classes: int, channels: int, width: int) -> None:
    model = cifar_resnet(depth, classes, channels, width)
    assert count(model) == cifar_count(depth, classes, channels, width)


@pytest.mark.parametrize(
    ("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)]
)
def test_cifar_parameter_count_is_the_published_one(depth: int, millions: float) -> None:
    digits = 1 if millions == 1.7 else 2
    assert round(count(cifar_resnet(depth, 10)) / 1e6, digits) == millions  # He et al., Table 6


def test_named_depths() -> None:
    assert count(resnet8(10)) == cifar_count(8, 10, 3, 16)
    assert count(resnet20(10)) == 269_722
    assert count(resnet32(10)) == 464_154
    assert count(resnet34(10)) == 21_282_122


@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 32), (3, 64)])
def test_output_shape(channels: int, size: int) -> None:
    inputs = torch.randn(2, channels, size, size)
    assert cifar_resnet(14, 7, channels, width=4)(inputs).shape == (2, 7)
    assert resnet34(7, channels, width=4)(inputs).shape == (2, 7)


def cifar_reference(model: ResNet, inputs: Tensor) -> Tensor:
    """The network of section 4.2, in evaluation, from its weights in the order of the layers."""
    state = iter(model.state_dict().values())

    def conv_bn(inputs: Tensor, stride: int) -> Tensor:
        kernel, weight, bias, mean, var, _ = (next(state) for _ in range(6))
        hidden = F.conv2d(F.pad(inputs, (1, 1, 1, 1)), kernel, stride=stride)
        mean, var, weight, bias = (t[:, None, None] for t in (mean, var, weight, bias))
        return (hidden - mean) / torch.sqrt(var + 1e-5) * weight + bias

    hidden = conv_bn(inputs, 1).clamp(min=0)
    for stage in range(3):
        for block in range(len(model.stages[stage])):
            stride = 2 if stage and not block else 1
            branch = conv_bn(conv_bn(hidden, stride).clamp(min=0), 1)
            if stride == 2:
                shortcut = torch.zeros_like(branch)
                shortcut[:, : hidden.shape[1]] = hidden[:, :, ::2, ::2]
                hidden = shortcut
            hidden = (branch + hidden).clamp(min=0)
    weight, bias = state
    return hidden.flatten(2).mean(2) @ weight.T + bias


def test_cifar_forward_follows_the_paper() -> None:
    torch.manual_seed(0)
    model = cifar_resnet(20, 7, in_channels=3, width=4).double().eval()
    randomize_statistics(model)
    inputs = torch.randn(2, 3, 15, 16, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(model(inputs), cifar_reference(model, inputs))


def test_resnet34_is_torchvisions_but_for_the_stem() -> None:
    torch.manual_seed(0)
    theirs = import_torchvision().models.resnet34(num_classes=7)
    theirs.conv1 = nn.Conv2d(3, 64, kernel_size=3, padding=1, bias=False)
    theirs.maxpool = nn.Identity()
    ours = resnet34(7)
    randomize_statistics(theirs)
    names = ours.state_dict().keys()
    ours.load_state_dict(dict(zip(names, theirs.state_dict().values(), strict=True)))
    inputs = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(inputs), theirs.eval()(inputs))


def test_padded_shortcut_keeps_every_other_pixel_and_adds_zeros() -> None:
    inputs = torch.randn(2, 3, 5, 4)
    outputs = PaddedShortcut(3, 8, stride=2)(inputs)
    assert outputs.shape == (2, 8, 3, 2)
    for row in range(3):
        for column in range(2):
            assert torch.equal(outputs[:, :3, row, column], inputs[:, :, 2 * row, 2 * column])
    assert outputs[:, 3:].abs().max() == 0


def test_padded_shortcut_cannot_lose_channels() -> None:
    with pytest.raises(InputError, match="out_channels"):
        PaddedShortcut(8, 4, stride=2)


def test_weights_start_as_he_et_al_drew_them() -> None:
    torch.manual_seed(0)
    model = cifar_resnet(32, 10)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            expected = math.sqrt(2 / (9 * module.out_channels))
            draws = module.weight.numel()
            assert abs(module.weight.std() / expected - 1) < 4 / math.sqrt(2 * draws)
    assert model.head.bias.abs().max() == 0


@pytest.mark.bad_input
@pytest.mark.parametrize("depth", [2, 7, 18, 34, -4, 20.0])
def test_a_depth_that_is_not_6n_plus_2_is_refused(depth: float) -> None:
    with pytest.raises(InputError, match="depth"):
        cifar_resnet(depth, 10)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [((1,), "num_classes"), ((10, 0), "in_channels"), ((10, 3, 0), "width")],
)
def test_bad_sizes_are_refused(arguments: tuple, word: str) -> None:
    with pytest.raises(InputError, match=word):
        resnet8(*arguments)


def test_grey_images_are_refused_by_a_colour_network() -> None:
    with pytest.raises(InputError, match=r"\[batch, 3, height, width\], got .* \[2, 1, 8, 8\]"):
        resnet8(10, width=4)(torch.zeros(2, 1, 8, 8))
