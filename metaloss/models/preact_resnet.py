"""Pre-activation residual networks."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from metaloss.checks import check_at_least
from metaloss.models.blocks import conv3x3, stack_stages
from metaloss.models.init import init_kaiming
from metaloss.models.inputs import check_images


class PreActBlock(nn.Module):
    """A residual block that normalizes and rectifies before each convolution.

    Where the shape changes, the shortcut is a 1x1 convolution of the rectified input; elsewhere
    the input passes untouched.

    Args:
        in_channels: channels that come in.
        out_channels: channels that go out.
        stride: of the first convolution.

    Example:
        >>> from metaloss.models.preact_resnet import PreActBlock
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
        """The block's output."""
        active = F.relu(self.bn1(inputs))
        shortcut = inputs if self.projection is None else self.projection(active)
        hidden = F.relu(self.bn2(self.conv1(active)))
        return self.conv2(hidden) + shortcut


class PreActResNet18(nn.Module):
    """The 18-layer pre-activation ResNet for small images.

    A 3x3 convolution, four stages of two blocks, a last normalization and ReLU, an average over
    the image and a linear layer.

    Args:
        num_classes: width of the output, at least 2.
        in_channels: 1 for grey images, 3 for colour.
        width: channels of the first stage; the others have twice, four and eight times as many.

    Raises:
        InputError: an argument is outside its range, or the inputs are not such images.

    Example:
        >>> from metaloss.models import PreActResNet18
        >>> import torch
        >>> PreActResNet18(num_classes=200, width=4)(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 200])

    References:
        He et al., Identity mappings in deep residual networks, 2016. The paper trains it on
        Tiny-ImageNet (section 4.4).
    """

    def __init__(self, num_classes: int, in_channels: int = 3, width: int = 64) -> None:
        check_at_least("num_classes", num_classes, 2)
        check_at_least("in_channels", in_channels, 1)
        check_at_least("width", width, 1)
        super().__init__()
        self.in_channels = in_channels
        self.conv = conv3x3(in_channels, width)
        self.stages = stack_stages(
            PreActBlock,
            width,
            channels=(width, 2 * width, 4 * width, 8 * width),
            blocks=(2, 2, 2, 2),
        )
        self.bn = nn.BatchNorm2d(8 * width)
        self.head = nn.Linear(8 * width, num_classes)
        init_kaiming(self)

    def forward(
        self, inputs: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """The logits."""
        check_images(inputs, self.in_channels)
        hidden = F.relu(self.bn(self.stages(self.conv(inputs))))
        return self.head(hidden.mean(dim=(2, 3)))


def preact_resnet18(num_classes: int, in_channels: int = 3, width: int = 64) -> PreActResNet18:
    """The paper's network for Tiny-ImageNet; see :class:`PreActResNet18`.

    Example:
        >>> from metaloss.models import preact_resnet18
        >>> sum(p.numel() for p in preact_resnet18(200, width=4).parameters()) < 100_000
        True
    """
    return PreActResNet18(num_classes, in_channels, width)
