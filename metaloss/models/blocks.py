"""The parts that residual networks are stacked from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from metaloss.checks import check_at_least


def conv3x3(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """A 3x3 convolution without bias: batch normalization follows or precedes it.

    Example:
        >>> from metaloss.models.blocks import conv3x3
        >>> conv3x3(3, 16).weight.shape
        torch.Size([16, 3, 3, 3])
    """
    return nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False)


def halve(in_channels: int, out_channels: int) -> tuple[nn.Module, ...]:
    """A strided convolution, normalized, and a rectifier: the image's sides are halved, rounded up.

    Example:
        >>> from metaloss.models.blocks import halve
        >>> import torch
        >>> nn.Sequential(*halve(1, 16))(torch.zeros(2, 1, 7, 7)).shape
        torch.Size([2, 16, 4, 4])
    """
    convolution = conv3x3(in_channels, out_channels, stride=2)
    return convolution, nn.BatchNorm2d(out_channels), nn.ReLU()


class PaddedShortcut(nn.Module):
    """The parameter-free shortcut: every ``stride``-th pixel, and zeros for the new channels.

    Args:
        in_channels: channels that come in.
        out_channels: channels that go out, at least as many.
        stride: 1 keeps the image's size, 2 halves it.

    Raises:
        InputError: fewer channels go out than come in.

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
        """The inputs, in the shape of the block's output."""
        kept = inputs[:, :, :: self.stride, :: self.stride]
        return F.pad(kept, (0, 0, 0, 0, 0, self.new_channels))


def projection_shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """A 1x1 convolution with batch normalization where the shape changes, else the identity.

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
    """Two 3x3 convolutions, each normalized, around which the shortcut is added.

    Args:
        in_channels: channels that come in.
        out_channels: channels that go out.
        stride: of the first convolution.
        shortcut: from the input's shape to the output's.

    Example:
        >>> from metaloss.models.blocks import BasicBlock, PaddedShortcut
        >>> import torch
        >>> block = BasicBlock(4, 8, stride=2, shortcut=PaddedShortcut(4, 8, stride=2))
        >>> block(torch.zeros(1, 4, 8, 8)).shape
        torch.Size([1, 8, 4, 4])

    References:
        He et al., Deep residual learning for image recognition, 2016, Fig. 2.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, shortcut: nn.Module
    ) -> None:
        super().__init__()
        self.conv1 = conv3x3(in_channels, out_channels, stride)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv3x3(out_channels, out_channels)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut = shortcut

    def forward(
        self, inputs: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels_out height_out width_out"]:
        """The block's output."""
        hidden = F.relu(self.bn1(self.conv1(inputs)))
        return F.relu(self.bn2(self.conv2(hidden)) + self.shortcut(inputs))


def stack_stages(
    build_block: Callable[[int, int, int], nn.Module],
    in_channels: int,
    channels: Sequence[int],
    blocks: Sequence[int],
) -> nn.Sequential:
    """Stack ``blocks[i]`` blocks of ``channels[i]`` channels; every stage but the first halves.

    Args:
        build_block: from ``in_channels, out_channels, stride`` to a block.
        in_channels: channels that come in.
        channels: of each stage.
        blocks: in each stage.

    Example:
        >>> from metaloss.models.blocks import stack_stages
        >>> [len(stage) for stage in stack_stages(conv3x3, 16, channels=(16, 32), blocks=(2, 3))]
        [2, 3]
    """
    stages = nn.Sequential()
    for stage, (width, count) in enumerate(zip(channels, blocks, strict=True)):
        layers = nn.Sequential()
        for position in range(count):
            stride = 2 if stage > 0 and position == 0 else 1
            layers.append(build_block(in_channels, width, stride))
            in_channels = width
        stages.append(layers)
    return stages
