"""What is known of a data set before anything is chosen for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import Image
from torch import Tensor

from metaloss.tasks.own_parts import OwnParts

_LOOKED_AT = 200  # image files whose headers are read


@dataclass(frozen=True)
class Facts:
    """The numbers that choices depend on.

    Attributes:
        samples: training samples, those that a test set may still be taken out of included.
        classes: the number of classes.
        clean: samples with checked labels.
        has_test: whether there is a test set.
        files: whether the samples are image files.
        shape: the shape of a sample that is no file; empty for files.
        one_size: the side of image files if all that were looked at are squares of one size.
        grey: whether the images have no colour.
        bytes: whether the samples are an array of uint8 images.
    """

    samples: int
    classes: int
    clean: int
    has_test: bool
    files: bool
    shape: tuple[int, ...] = ()
    one_size: int | None = None
    grey: bool = False
    bytes: bool = False

    @property
    def images(self) -> bool:
        """Whether the samples are images, in files or in an array."""
        return self.files or len(self.shape) == 3

    @property
    def augmented(self) -> bool:
        """Whether training can mirror and crop the samples: images of whole numbers."""
        return self.files or self.bytes


def facts_of(found: OwnParts) -> Facts:
    """Look at a data set. Of image files, some headers are read.

    Args:
        found: its parts.
    """
    train = found.parts["train"]
    known: dict[str, Any] = {
        "samples": len(train),
        "classes": len(found.class_names),
        "clean": len(found.parts["clean"]) if "clean" in found.parts else 0,
        "has_test": "test" in found.parts,
    }
    if isinstance(train.samples, Tensor):
        shape = tuple(train.samples.shape[1:])
        grey = len(shape) == 3 and shape[0] == 1
        bytes_ = not train.samples.is_floating_point()
        return Facts(**known, files=False, shape=shape, grey=grey, bytes=bytes_)
    step = max(1, len(train.samples) // _LOOKED_AT)
    headers = [h for file in train.samples[::step] if (h := _header(file)) is not None]
    sizes = {size for size, _ in headers}
    width, height = next(iter(sizes), (0, 0))
    return Facts(
        **known,
        files=True,
        one_size=width if len(sizes) == 1 and width == height else None,
        grey=bool(headers) and all(mode in {"1", "L", "LA", "I;16"} for _, mode in headers),
    )


def _header(file: str) -> tuple[tuple[int, int], str] | None:
    try:
        with Image.open(file) as image:
            return image.size, image.mode
    except Exception:  # a damaged file is told of where it is decoded
        return None
