"""Checks of an image classifier's inputs."""

from __future__ import annotations

from torch import Tensor

from metaloss.checks import require


def check_images(inputs: Tensor, in_channels: int) -> None:
    """Raise an error unless ``inputs`` are floating-point images with ``in_channels`` channels.

    Args:
        inputs: images, ``[batch, in_channels, height, width]``.
        in_channels: 1 for grey images, 3 for colour.

    Raises:
        InputError: the inputs are anything else.

    Example:
        >>> from metaloss.models.inputs import check_images
        >>> import torch
        >>> check_images(torch.zeros(2, 3, 32, 32), in_channels=3)
    """
    require(
        inputs.ndim == 4 and inputs.shape[1] == in_channels and inputs.is_floating_point(),
        f"inputs: expected floating-point images [batch, {in_channels}, height, width], "
        f"got {inputs.dtype} {list(inputs.shape)}",
    )
