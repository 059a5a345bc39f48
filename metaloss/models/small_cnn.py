"""A small convolutional network."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from metaloss.checks import check_at_least
from metaloss.models.blocks import halve
from metaloss.models.init import init_kaiming
from metaloss.models.inputs import check_images


class SmallCNN(nn.Module):
    """Three strided convolutions with batch normalization, for images of 8x8 to 32x32 on a CPU.

    The convolutions have ``width``, ``2 width`` and ``4 width`` channels, and each halves the
    image. The first one is strided too, because at full resolution it would take most of the time.
    Global average pooling follows.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        num_classes: width of the output, at least 2.
        width: channels of the first convolution.

    Raises:
        InputError: an argument is out of range, or the inputs are not such images.

    Example:
        >>> from metaloss.models import SmallCNN
        >>> import torch
        >>> SmallCNN(1, 10)(torch.zeros(5, 1, 28, 28)).shape
        torch.Size([5, 10])
    """

    def __init__(self, in_channels: int, num_classes: int, width: int = 32) -> None:
        check_at_least("in_channels", in_channels, 1)
        check_at_least("num_classes", num_classes, 2)
        check_at_least("width", width, 1)
        super().__init__()
        self.in_channels = in_channels
        self.body = nn.Sequential(
            *halve(in_channels, width),
            *halve(width, 2 * width),
            *halve(2 * width, 4 * width),
        )
        self.head = nn.Linear(4 * width, num_classes)
        init_kaiming(self)

    def forward(
        self, inputs: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Return the logits."""
        check_images(inputs, self.in_channels)
        return self.head(self.body(inputs).mean(dim=(2, 3)))
