"""Residual networks for small images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from metaloss.checks import check_at_least, require
from metaloss.models.blocks import (
    BasicBlock,
    BuildBlock,
    PaddedShortcut,
    PreActBlock,
    conv3x3,
    projection_shortcut,
)
from metaloss.models.init import init_kaiming
from metaloss.models.inputs import check_images


class ResNet(nn.Module):
    """A residual network: a 3x3 convolution, stages of blocks, global average pooling and a head.

    Each stage has twice the channels of the one before, and its first block halves the image.

    Args:
        block: builds a block from its input channels, output channels and stride.
        blocks: number of blocks in each stage.
        num_classes: width of the output, at least 2.
        in_channels: 1 for grey images, 3 for colour.
        width: channels of the first stage.
        preactivation: normalize after the last stage instead of before the first one, for blocks
            that begin with batch normalization.

    Raises:
        InputError: an argument is out of range, or the inputs are not such images.

    Example:
        >>> from metaloss.models import ResNet
        >>> from metaloss.models.blocks import PreActBlock
        >>> import torch
        >>> model = ResNet(PreActBlock, (1, 1), num_classes=10, width=4, preactivation=True)
        >>> model(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        block: BuildBlock,
        blocks: Sequence[int],
        num_classes: int,
        in_channels: int = 3,
        width: int = 64,
        *,
        preactivation: bool = False,
    ) -> None:
        check_at_least("num_classes", num_classes, 2)
        check_at_least("in_channels", in_channels, 1)
        check_at_least("width", width, 1)
        super().__init__()
        self.in_channels = in_channels
        self.preactivation = preactivation
        self.conv = conv3x3(in_channels, width)
        stages, last = _stages(block, blocks, width)
        # In the order of the layers, which is that of the saved tensors.
        if preactivation:
            self.stages, self.bn = stages, nn.BatchNorm2d(last)
        else:
            self.bn, self.stages = nn.BatchNorm2d(width), stages
        self.head = nn.Linear(last, num_classes)
        init_kaiming(self)

    def forward(
        self, inputs: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Return the logits."""
        check_images(inputs, self.in_channels)
        hidden = self.conv(inputs)
        if self.preactivation:
            hidden = F.relu(self.bn(self.stages(hidden)))
        else:
            hidden = self.stages(F.relu(self.bn(hidden)))
        return self.head(hidden.mean(dim=(2, 3)))


def cifar_resnet(depth: int, num_classes: int, in_channels: int = 3, width: int = 16) -> ResNet:
    """Build the ResNet of ``6n + 2`` layers that He et al. designed for CIFAR.

    It has three stages of ``n`` blocks, with shortcuts that have no parameters.

    Args:
        depth: number of layers with weights, ``6n + 2``: 8, 20, 32, 44, 56, 110, ...
        num_classes: width of the output, at least 2.
        in_channels: 1 for grey images, 3 for colour.
        width: channels of the first stage.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> from metaloss.models import cifar_resnet
        >>> import torch
        >>> cifar_resnet(8, num_classes=10)(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])

    References:
        He et al., Deep residual learning for image recognition, 2016, section 4.2.
    """
    check_at_least("depth", depth, 8)
    require(depth % 6 == 2, f"depth: expected 6n + 2, such as 20 or 32, got {depth}")
    block = partial(BasicBlock, shortcut=PaddedShortcut)
    return ResNet(block, [(depth - 2) // 6] * 3, num_classes, in_channels, width)


def resnet8(num_classes: int, in_channels: int = 3, width: int = 16) -> ResNet:
    """ResNet-8, the smallest :func:`cifar_resnet`, for trials.

    Example:
        >>> from metaloss.models import resnet8
        >>> sum(p.numel() for p in resnet8(10).parameters())
        75290
    """
    return cifar_resnet(8, num_classes, in_channels, width)


def resnet20(num_classes: int, in_channels: int = 3, width: int = 16) -> ResNet:
    """ResNet-20; see :func:`cifar_resnet`.

    Example:
        >>> from metaloss.models import resnet20
        >>> sum(p.numel() for p in resnet20(10).parameters())
        269722
    """
    return cifar_resnet(20, num_classes, in_channels, width)


def resnet32(num_classes: int, in_channels: int = 3, width: int = 16) -> ResNet:
    """ResNet-32, the paper's network for CIFAR-10 and CIFAR-100; see :func:`cifar_resnet`.

    Example:
        >>> from metaloss.models import resnet32
        >>> sum(p.numel() for p in resnet32(10).parameters())
        464154
    """
    return cifar_resnet(32, num_classes, in_channels, width)


def resnet34(num_classes: int, in_channels: int = 3, width: int = 64) -> ResNet:
    """ResNet-34 for small images, the paper's network under instance-dependent noise.

    A 3x3 convolution replaces the 7x7 convolution and the pooling of the published network.

    Example:
        >>> from metaloss.models import resnet34
        >>> sum(p.numel() for p in resnet34(10).parameters())
        21282122

    References:
        He et al., Deep residual learning for image recognition, 2016, Table 1. Xia et al.,
        Part-dependent label noise, 2020, train it under instance-dependent noise, and so does the
        paper (section 4.2).
    """
    block = partial(BasicBlock, shortcut=projection_shortcut)
    return ResNet(block, (3, 4, 6, 3), num_classes, in_channels, width)


def preact_resnet18(num_classes: int, in_channels: int = 3, width: int = 64) -> ResNet:
    """Build the 18-layer pre-activation ResNet for small images, the paper's for Tiny-ImageNet.

    Example:
        >>> from metaloss.models import preact_resnet18
        >>> sum(p.numel() for p in preact_resnet18(200, width=4).parameters()) < 100_000
        True

    References:
        He et al., Identity mappings in deep residual networks, 2016. The paper trains it on
        Tiny-ImageNet (section 4.4).
    """
    blocks = (2, 2, 2, 2)
    return ResNet(PreActBlock, blocks, num_classes, in_channels, width, preactivation=True)


def _stages(block: BuildBlock, blocks: Sequence[int], width: int) -> tuple[nn.Sequential, int]:
    """Return the stages and the channels of the last one."""
    stages, channels = nn.Sequential(), width
    for stage, count in enumerate(blocks):
        layers = nn.Sequential()
        for position in range(count):
            stride = 2 if stage > 0 and position == 0 else 1
            layers.append(block(channels, width * 2**stage, stride))
            channels = width * 2**stage
        stages.append(layers)
    return stages, channels
