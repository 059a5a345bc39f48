"""Transforms of batches of uint8 images, on the batch's device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from metaloss.checks import check_at_least, require

from .mapped import MappedSamples, chunks

STATISTICS: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = MappingProxyType(
    {
        "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
        "digits": ((0.3053,), (0.3759,)),
        "fashion_mnist": ((0.2860,), (0.3530,)),
        "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    }
)
"""Mean and standard deviation of each channel of the training images, with pixels in [0, 1]."""


@runtime_checkable
class Transform(Protocol):
    """Maps a batch of images to a model's inputs."""

    def __call__(
        self,
        images: UInt8[Tensor, "batch channels height width"],
        generator: torch.Generator | None,
        /,
    ) -> Float[Tensor, "batch channels height width"]:
        """Return the inputs of a model.

        Args:
            images: uint8, ``[batch, channels, height, width]``.
            generator: the source of randomness, on the batch's device; ``None`` in evaluation.
        """
        ...


@dataclass(frozen=True)
class Normalise:
    """Scale pixels to [0, 1], then normalise each channel by a mean and a standard deviation.

    Attributes:
        mean: one number for each channel, with pixels in [0, 1].
        std: one number for each channel, above 0.

    Raises:
        InputError: the two differ in length, or a standard deviation is not positive. When called:
            the images are not uint8, or have another number of channels.

    Example:
        >>> import torch
        >>> from metaloss.tasks import Normalise
        >>> white = torch.full((1, 1, 1, 2), 255, dtype=torch.uint8)
        >>> Normalise(mean=(0.5,), std=(0.25,))(white)
        tensor([[[[2., 2.]]]])
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check the two tuples."""
        require(
            len(self.mean) == len(self.std) >= 1,
            f"mean and std: expected one number a channel, got {list(self.mean)}, {list(self.std)}",
        )
        require(
            all(std > 0 for std in self.std),
            f"std: expected positive numbers, got {list(self.std)}",
        )

    def __call__(
        self,
        images: UInt8[Tensor, "batch channels height width"],
        generator: torch.Generator | None = None,  # noqa: ARG002 - a Transform takes one
        /,
    ) -> Float[Tensor, "batch channels height width"]:
        """Return the normalised images, float32."""
        check_images(images, channels=len(self.mean))
        values = images.to(torch.float32)
        # Python numbers, channel by channel: copying a tensor of them to the device would block at
        # every batch.
        for channel, (mean, std) in enumerate(zip(self.mean, self.std, strict=True)):
            values[:, channel].sub_(255 * mean).div_(255 * std)
        return values


@dataclass(frozen=True)
class Augment:
    """Crop with zero padding and flip each image at random, then normalise.

    Attributes:
        mean: as :class:`Normalise`.
        std: as :class:`Normalise`.
        crop_padding: width of the zero padding on each side, in pixels.
        flip: whether to flip each image left to right with probability 1/2.

    Raises:
        InputError: as :class:`Normalise`; also if the padding is negative, or when called without a
            generator.

    Example:
        >>> import torch
        >>> from metaloss.tasks import Augment
        >>> images = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
        >>> augment = Augment(mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
        >>> augment(images, torch.Generator().manual_seed(0)).shape
        torch.Size([2, 3, 32, 32])

    References:
        The usual augmentation of CIFAR; Section 4.1 of the paper trains with it.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop_padding: int = 4
    flip: bool = True

    def __post_init__(self) -> None:
        """Check the arguments."""
        check_at_least("crop_padding", self.crop_padding, 0)
        Normalise(self.mean, self.std)

    def __call__(
        self,
        images: UInt8[Tensor, "batch channels height width"],
        generator: torch.Generator | None,
        /,
    ) -> Float[Tensor, "batch channels height width"]:
        """Return the augmented images, float32."""
        check_images(images, channels=len(self.mean))
        require(generator is not None, "generator: expected one to augment with, got None")
        batch = (2, len(images))
        top, left = torch.randint(
            2 * self.crop_padding + 1, batch, generator=generator, device=images.device
        )
        coin = torch.randint(2, batch[1:], generator=generator, device=images.device)
        flipped = coin.bool() if self.flip else torch.zeros_like(coin, dtype=torch.bool)
        cropped = crop_and_flip(images, top, left, flipped, self.crop_padding)
        return Normalise(self.mean, self.std)(cropped)


def crop_and_flip(
    images: Tensor, top: Tensor, left: Tensor, flipped: Tensor, padding: int
) -> Tensor:
    """Pad each image with zeros, crop it at its own offset, and flip it left to right if chosen.

    The whole batch takes one gather, and nothing is copied back from the device.

    Args:
        images: ``[batch, channels, height, width]``.
        top: the first row of each crop in the padded image, ``[batch]``, int64, from 0 to
            ``2 * padding``.
        left: the first column, likewise.
        flipped: which crops to flip, ``[batch]``, bool.
        padding: width of the padding on each side, in pixels.

    Returns:
        The crops, with the shape and dtype of ``images``.
    """
    _, channels, height, width = images.shape
    padded = F.pad(images, (padding, padding, padding, padding))
    row = torch.arange(height, device=images.device)
    column = torch.arange(width, device=images.device)
    columns = torch.where(flipped[:, None], width - 1 - column, column) + left[:, None]
    rows = row + top[:, None]
    pixels = (rows[:, :, None] * padded.shape[3] + columns[:, None, :]).flatten(1)
    crops = padded.flatten(2).gather(2, pixels[:, None, :].expand(-1, channels, -1))
    return crops.view_as(images)


def channel_statistics(
    images: UInt8[Tensor, "samples channels height width"] | MappedSamples,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and standard deviation of each channel, with pixels in [0, 1].

    Args:
        images: uint8, ``[samples, channels, height, width]``, in memory or in a mapped file.

    Returns:
        The means and the standard deviations, computed from counts of pixel values in float64.

    Example:
        >>> import torch
        >>> from metaloss.tasks import channel_statistics
        >>> channel_statistics(torch.tensor([[[[0, 255]]]], dtype=torch.uint8))
        ((0.5,), (0.5,))
    """
    check_images(images, channels=images.shape[1] if images.ndim == 4 else 1)
    pixel = torch.arange(256, dtype=torch.float64) / 255
    counts = torch.zeros(images.shape[1], 256, dtype=torch.int64)
    for chunk in chunks(images):
        for channel, pixels in enumerate(chunk.unbind(1)):
            counts[channel] += pixels.flatten().bincount(minlength=256).cpu()
    shares = counts.double() / counts[0].sum()
    mean = shares @ pixel
    variance = (shares * (pixel - mean[:, None]) ** 2).sum(1)
    return tuple(mean.tolist()), tuple(variance.sqrt().tolist())


def check_images(images: Tensor | MappedSamples, channels: int) -> None:
    """Raise :class:`InputError` unless these are uint8 images with this number of channels.

    Only shape and dtype are read, so nothing blocks on a device.
    """
    require(
        images.dtype == torch.uint8 and images.ndim == 4 and images.shape[1] == channels,
        f"images: expected uint8 [batch, {channels}, height, width], "
        f"got {images.dtype} {list(images.shape)}",
    )
