"""Residual networks for 32x32 images."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from metaloss.checks import check_at_least, require
from metaloss.models.blocks import (
    BasicBlock,
    PaddedShortcut,
    conv3x3,
    projection_shortcut,
    stack_stages,
)
from metaloss.models.init import init_kaiming
from metaloss.models.inputs import check_images


class CifarResNet(nn.Module):
    """The ResNet of ``6n + 2`` layers that He et al. made for CIFAR.

    A 3x3 convolution, then three stages of ``n`` blocks with ``width``, ``2 width`` and ``4 width``
    channels, parameter-free shortcuts, an average over the image and a linear layer.

    Args:
        depth: layers with weights, ``6n + 2``: 8, 20, 32, 44, 56, 110, ...
        num_classes: width of the output, at least 2.
        in_channels: 1 for grey images, 3 for colour.
        width: channels of the first stage.

    Raises:
        InputError: an argument is outside its range, or the inputs are not such images.

    Example:
        >>> from metaloss.models import CifarResNet
        >>> import torch
        >>> CifarResNet(8, num_classes=10)(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])

    References:
        He et al., Deep residual learning for image recognition, 2016, section 4.2.
    """

    def __init__(self, depth: int, num_classes: int, in_channels: int = 3, width: int = 16) -> None:
        check_at_least("depth", depth, 8)
        require(depth % 6 == 2, f"depth: expected 6n + 2, such as 20 or 32, got {depth}")
        check_at_least("num_classes", num_classes, 2)
        check_at_least("in_channels", in_channels, 1)
        check_at_least("width", width, 1)
        super().__init__()
        self.in_channels = in_channels
        self.conv = conv3x3(in_channels, width)
        self.bn = nn.BatchNorm2d(width)
        self.stages = stack_stages(
            _padded_block,
            width,
            channels=(width, 2 * width, 4 * width),
            blocks=((depth - 2) // 6,) * 3,
        )
        self.head = nn.Linear(4 * width, num_classes)
        init_kaiming(self)

    def forward(
        self, inputs: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """The logits."""
        check_images(inputs, self.in_channels)
        hidden = F.relu(self.bn(self.conv(inputs)))
        return self.head(self.stages(hidden).mean(dim=(2, 3)))


class ResNet34(nn.Module):
    """ResNet-34 for small images: a 3x3 convolution in the place of the 7x7 one and its pooling.

    Args:
        num_classes: width of the output, at least 2.
        in_channels: 1 for grey images, 3 for colour.
        width: channels of the first stage; the others have twice, four and eight times as many.

    Raises:
        InputError: an argument is outside its range, or the inputs are not such images.

    Example:
        >>> from metaloss.models import ResNet34
        >>> import torch
        >>> ResNet34(num_classes=10, width=4)(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])

    References:
        He et al., Deep residual learning for image recognition, 2016, Table 1. Xia et al.,
        Part-dependent label noise, 2020, train it under instance-dependent noise, and so does the
        paper (section 4.2).
    """

    def __init__(self, num_classes: int, in_channels: int = 3, width: int = 64) -> None:
        check_at_least("num_classes", num_classes, 2)
        check_at_least("in_channels", in_channels, 1)
        check_at_least("width", width, 1)
        super().__init__()
        self.in_channels = in_channels
        self.conv = conv3x3(in_channels, width)
        self.bn = nn.BatchNorm2d(width)
        self.stages = stack_stages(
            _projected_block,
            width,
            channels=(width, 2 * width, 4 * width, 8 * width),
            blocks=(3, 4, 6, 3),
        )
        self.head = nn.Linear(8 * width, num_classes)
        init_kaiming(self)

    def forward(
        self, inputs: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """The logits."""
        check_images(inputs, self.in_channels)
        hidden = F.relu(self.bn(self.conv(inputs)))
        return self.head(self.stages(hidden).mean(dim=(2, 3)))


def resnet8(num_classes: int, in_channels: int = 3, width: int = 16) -> CifarResNet:
    """The smallest :class:`CifarResNet`, for trials.

    Example:
        >>> from metaloss.models import resnet8
        >>> sum(p.numel() for p in resnet8(10).parameters())
        75290
    """
    return CifarResNet(8, num_classes, in_channels, width)


def resnet20(num_classes: int, in_channels: int = 3, width: int = 16) -> CifarResNet:
    """ResNet-20; see :class:`CifarResNet`.

    Example:
        >>> from metaloss.models import resnet20
        >>> sum(p.numel() for p in resnet20(10).parameters())
        269722
    """
    return CifarResNet(20, num_classes, in_channels, width)


def resnet32(num_classes: int, in_channels: int = 3, width: int = 16) -> CifarResNet:
    """ResNet-32, the paper's network for CIFAR-10 and CIFAR-100; see :class:`CifarResNet`.

    Example:
        >>> from metaloss.models import resnet32
        >>> sum(p.numel() for p in resnet32(10).parameters())
        464154
    """
    return CifarResNet(32, num_classes, in_channels, width)


def resnet34(num_classes: int, in_channels: int = 3, width: int = 64) -> ResNet34:
    """ResNet-34, the paper's network under instance-dependent noise; see :class:`ResNet34`.

    Example:
        >>> from metaloss.models import resnet34
        >>> sum(p.numel() for p in resnet34(10).parameters())
        21282122
    """
    return ResNet34(num_classes, in_channels, width)


def _padded_block(in_channels: int, out_channels: int, stride: int) -> BasicBlock:
    shortcut = PaddedShortcut(in_channels, out_channels, stride)
    return BasicBlock(in_channels, out_channels, stride, shortcut)


def _projected_block(in_channels: int, out_channels: int, stride: int) -> BasicBlock:
    shortcut = projection_shortcut(in_channels, out_channels, stride)
    return BasicBlock(in_channels, out_channels, stride, shortcut)
