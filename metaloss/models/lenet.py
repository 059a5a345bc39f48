"""LeNet-5 with strides and batch normalization."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from metaloss.checks import check_at_least, require
from metaloss.models.blocks import halve
from metaloss.models.init import init_kaiming
from metaloss.models.inputs import check_images


class LeNet(nn.Module):
    """LeNet-5's architecture with strides and batch normalization: two convolutions, a wide layer.

    Nearly all of its weights are in the dense layer, which is fast and can memorize single samples:
    within a dozen epochs the network starts to fit wrong labels, as large networks do.
    :class:`SmallCNN`, which averages over the image instead, hardly memorizes any.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        num_classes: width of the output, at least 2.
        size: height and width of the images.
        width: channels of the first convolution; the second has twice as many.
        hidden: width of the dense layer.

    Raises:
        InputError: an argument is out of range, or the inputs are not such images.

    Example:
        >>> from metaloss.models import LeNet
        >>> import torch
        >>> LeNet(1, 10)(torch.zeros(5, 1, 28, 28)).shape
        torch.Size([5, 10])

    References:
        LeCun et al., Gradient-based learning applied to document recognition, 1998.
    """

    def __init__(
        self, in_channels: int, num_classes: int, size: int = 28, width: int = 16, hidden: int = 512
    ) -> None:
        check_at_least("in_channels", in_channels, 1)
        check_at_least("num_classes", num_classes, 2)
        check_at_least("size", size, 4)
        check_at_least("width", width, 1)
        check_at_least("hidden", hidden, 1)
        super().__init__()
        self.in_channels = in_channels
        self.size = size
        self.body = nn.Sequential(*halve(in_channels, width), *halve(width, 2 * width))
        side = -(-size // 4)  # each convolution rounds up
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(2 * width * side**2, hidden),
            nn.ReLU(),
            nn.Linear(hidden, num_classes),
        )
        init_kaiming(self)

    def forward(
        self, inputs: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Return the logits."""
        check_images(inputs, self.in_channels)
        require(
            inputs.shape[2:] == (self.size, self.size),
            f"inputs: expected images of {self.size}x{self.size}, got {list(inputs.shape[2:])}",
        )
        return self.head(self.body(inputs))
