"""What the folder of a run keeps of its task's inputs, and how they are made again from that."""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from metaloss.checks import InputError, require
from metaloss.inputs import Inputs

from .decoding import check_channels, decode_one, open_image
from .file_transforms import Scaled
from .folder_set import FolderSet
from .partition import AnySet
from .set_loaders import Transforms
from .standardise import Standardise
from .transforms import STATISTICS, Normalise


def described(samples: AnySet, transforms: Transforms) -> Inputs:
    """Return how the inputs of a task are made in evaluation.

    Args:
        samples: its training samples.
        transforms: the transforms of samples in memory.

    Example:
        >>> import torch
        >>> from metaloss.tasks import ImageSet
        >>> from metaloss.tasks.described import described
        >>> from metaloss.tasks.set_loaders import Transforms
        >>> table = ImageSet(torch.zeros(4, 6), torch.tensor([0, 1, 1, 0]), ("cat", "dog"), "pets")
        >>> described(table, Transforms()).kind
        'features'
    """
    names, shape = samples.class_names, samples.sample_shape
    if isinstance(samples, FolderSet):
        how = samples.eval_transform
        if not isinstance(how, Scaled):
            return Inputs(
                kind="unknown",
                class_names=names,
                sample_shape=shape,
                reason="image files go through a transform of your own (eval_transform), which "
                "cannot be written down",
            )
        mean, std = STATISTICS["imagenet"]
        return Inputs(
            kind="files",
            class_names=names,
            sample_shape=shape,
            resize=how.resize,
            scale=how.scale,
            mean=mean,
            std=std,
        )
    if not isinstance(transforms.evaluation, Normalise):  # inputs in memory that are not images
        found = transforms.evaluation
        scale = found if isinstance(found, Standardise) else None
        return Inputs(
            kind="features",
            class_names=names,
            sample_shape=shape,
            dtype=str(samples.images.dtype).removeprefix("torch."),
            mean=scale.mean if scale else None,
            std=scale.std if scale else None,
            columns=samples.columns or None,
        )
    return Inputs(
        kind="images",
        class_names=names,
        sample_shape=shape,
        resize="cover",
        mean=tuple(map(float, transforms.evaluation.mean)),
        std=tuple(map(float, transforms.evaluation.std)),
    )


def file_reader(inputs: Inputs) -> Callable[[str], Tensor]:
    """Return a function that reads one image file as the task of these inputs does.

    Args:
        inputs: of the kind "images" or "files".

    Returns:
        A function from the path of a file to a sample: of "images" uint8, which
        :func:`batch_transform` then normalises, of "files" what the network takes. It raises
        :class:`InputError` for a file that cannot be read as an image.

    Raises:
        InputError: no image files can be read for these inputs.
    """
    if inputs.kind == "files":
        how = _scaled(inputs)
        return lambda file: how(open_image(file, channels=3))
    shape = inputs.sample_shape
    if inputs.kind != "images" or shape is None:
        raise InputError(f"expected arrays, since the inputs are of the kind {inputs.kind!r}")
    channels, height, width = shape
    check_channels(channels)
    return lambda file: decode_one(file, (channels, height, width))


def batch_transform(inputs: Inputs) -> Callable[[Tensor], Float[Tensor, "batch ..."]]:
    """Return a function that makes the network's inputs of a batch.

    Args:
        inputs: of the kind "images", "files" or "features".

    Returns:
        A function that normalises uint8 images, scaled and cropped before, standardises features
        if the run did, and returns other floating-point inputs as they are.
    """
    if inputs.mean is None or inputs.std is None:
        return lambda batch: batch
    if inputs.kind == "features":
        return Standardise(inputs.mean, inputs.std)
    normalise = Normalise(inputs.mean, inputs.std)
    return lambda batch: batch if batch.is_floating_point() else normalise(batch)


def _scaled(inputs: Inputs) -> Scaled:
    """Return the transform of image files, if it is one that there still is."""
    assert inputs.sample_shape is not None and inputs.resize is not None
    how = Scaled(inputs.sample_shape[-1], inputs.resize)
    require(
        (3, how.size, how.size) == inputs.sample_shape
        and (inputs.scale, inputs.mean, inputs.std) == (how.scale, *STATISTICS["imagenet"]),
        f"expected images of {how.size}x{how.size} pixels out of {how.scale}, normalised by "
        "ImageNet's statistics, got another description",
    )
    return how
