"""The layers and blocks that the convolutional networks are built from."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from metaloss.checks import check_at_least

BuildBlock = Callable[[int, int, int], nn.Module]
"""Builds a block, or a shortcut, from its input channels, output channels and stride."""


def conv3x3(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """Return a 3x3 convolution without bias, for use with batch normalization.

    Example:
        >>> from metaloss.models.blocks import conv3x3
        >>> conv3x3(3, 16).weight.shape
        torch.Size([16, 3, 3, 3])
    """
    return nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False)


def halve(in_channels: int, out_channels: int) -> tuple[nn.Module, ...]:
    """Return a strided convolution, its normalization and a ReLU.

    Together they halve the image's height and width, rounded up.

    Example:
        >>> from metaloss.models.blocks import halve
        >>> import torch
        >>> nn.Sequential(*halve(1, 16))(torch.zeros(2, 1, 7, 7)).shape
        torch.Size([2, 16, 4, 4])
    """
    convolution = conv3x3(in_channels, out_channels, stride=2)
    return convolution, nn.BatchNorm2d(out_channels), nn.ReLU()


class PaddedShortcut(nn.Module):
    """The shortcut without parameters: subsampled pixels, and zeros for the new channels.

    Args:
        in_channels: input channels.
        out_channels: output channels, at least ``in_channels``.
        stride: 1 keeps the image's size, 2 halves it.

    Raises:
        InputError: ``out_channels`` is less than ``in_channels``.

    Example:
        >>> from metaloss.models.blocks import PaddedShortcut
        >>> import torch
        >>> PaddedShortcut(16, 32, stride=2)(torch.ones(1, 16, 8, 8)).sum((0, 2, 3)).unique()
        tensor([ 0., 16.])

    References:
        He et al., Deep residual learning for image recognition, 2016, section 3.3, option A.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        check_at_least("out_channels", out_channels, in_channels)
        super().__init__()
        self.new_channels = out_channels - in_channels
        self.stride = stride

    def forward(
        self, inputs: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels_out height_out width_out"]:
        """Return the inputs in the shape of the block's output."""
        subsampled = inputs[:, :, :: self.stride, :: self.stride]
        return F.pad(subsampled, (0, 0, 0, 0, 0, self.new_channels))


def projection_shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Return a normalized 1x1 convolution, or the identity where the shape does not change.

    Example:
        >>> from metaloss.models.blocks import projection_shortcut
        >>> projection_shortcut(64, 64, stride=1)
        Identity()

    References:
        He et al., Deep residual learning for image recognition, 2016, section 3.3, option B.
    """
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )


class BasicBlock(nn.Module):
    """A residual block of two 3x3 convolutions, each followed by batch normalization.

    The first convolution has the stride.

    Example:
        >>> from metaloss.models.blocks import BasicBlock, PaddedShortcut
        >>> import torch
        >>> block = BasicBlock(4, 8, stride=2, shortcut=PaddedShortcut)
        >>> block(torch.zeros(1, 4, 8, 8)).shape
        torch.Size([1, 8, 4, 4])

    References:
        He et al., Deep residual learning for image recognition, 2016, Fig. 2.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, shortcut: BuildBlock
    ) -> None:
        super().__init__()
        self.conv1 = conv3x3(in_channels, out_channels, stride)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv3x3(out_channels, out_channels)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut = shortcut(in_channels, out_channels, stride)

    def forward(
        self, inputs: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels_out height_out width_out"]:
        """Return the block's output."""
        hidden = F.relu(self.bn1(self.conv1(inputs)))
        return F.relu(self.bn2(self.conv2(hidden)) + self.shortcut(inputs))


class PreActBlock(nn.Module):
    """A residual block with batch normalization and ReLU before each of its two convolutions.

    Where the shape changes, the shortcut is a 1x1 convolution of the normalized input; elsewhere
    it is the identity.

    The first convolution has the stride.

    Example:
        >>> from metaloss.models.blocks import PreActBlock
        >>> import torch
        >>> PreActBlock(4, 8, stride=2)(torch.zeros(1, 4, 8, 8)).shape
        torch.Size([1, 8, 4, 4])

    References:
        He et al., Identity mappings in deep residual networks, 2016, Fig. 4(e) and the appendix.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = conv3x3(in_channels, out_channels, stride)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv3x3(out_channels, out_channels)
        self.projection = (
            None
            if stride == 1 and in_channels == out_channels
            else nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False)
        )

    def forward(
        self, inputs: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels_out height_out width_out"]:
        """Return the block's output."""
        active = F.relu(self.bn1(inputs))
        shortcut = inputs if self.projection is None else self.projection(active)
        hidden = F.relu(self.bn2(self.conv1(active)))
        return self.conv2(hidden) + shortcut
