"""Sets of samples in memory, or in a memory-mapped file."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Int
from torch import Tensor

from metaloss.checks import check_finite, check_labels, require, seen

from .mapped import MappedSamples


@dataclass(frozen=True)
class ImageSet:
    """Samples and their labels, in memory.

    The samples may also stay in a file (:func:`metaloss.tasks.array_files`).

    Attributes:
        images: uint8 images, ``[samples, channels, height, width]``, or finite floating-point
            inputs of any shape, ``[samples, ...]``; or such samples in a memory-mapped file.
        targets: labels, ``[samples]``, int64.
        class_names: a name for each class, all different; at least two.
        name: the name of the set.
        ids: a name for each sample, such as the path of its file; ``None`` if they have none.
        columns: the names of the columns of inputs ``[samples, columns]``; empty if they have none.

    Raises:
        InputError: a shape, a dtype or a value is not as above, or a label has no class name.

    Example:
        >>> import torch
        >>> from metaloss.tasks import ImageSet
        >>> images = torch.zeros(4, 1, 8, 8, dtype=torch.uint8)
        >>> data = ImageSet(images, torch.tensor([0, 1, 1, 0]), ("cat", "dog"), "pets")
        >>> len(data), data.sample_shape, data.subset(torch.tensor([2])).targets
        (4, (1, 8, 8), tensor([1]))
    """

    images: Tensor | MappedSamples
    targets: Int[Tensor, " samples"]
    class_names: tuple[str, ...]
    name: str
    ids: tuple[str, ...] | None = None
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the samples, the labels and the class names."""
        images = self.images.whole if isinstance(self.images, MappedSamples) else self.images
        if isinstance(images, Tensor) and images.is_floating_point():
            require(
                images.ndim >= 2,
                f"{self.name}: expected inputs [samples, ...], got {list(images.shape)}",
            )
            if images is self.images:  # a file was read through when it was opened
                check_finite(f"{self.name}: inputs", images)
        else:
            require(
                isinstance(images, Tensor) and images.dtype == torch.uint8 and images.ndim == 4,
                f"{self.name}: expected uint8 images [samples, channels, height, width] or "
                f"floating-point inputs, got {seen(images)}",
            )
        check_class_names(self.name, self.class_names)
        check_labels(f"{self.name}: targets", self.targets, len(self.class_names))
        require(
            len(self.images) == len(self.targets),
            f"{self.name}: expected a label for each sample, got {len(self.targets)} labels and "
            f"{len(self.images)} samples",
        )
        require(
            self.ids is None or len(self.ids) == len(self.targets),
            f"{self.name}: expected a name for each of {len(self.targets)} samples, got "
            f"{len(self.ids or ())}",
        )
        require(
            not self.columns or tuple(self.images.shape[1:]) == (len(self.columns),),
            f"{self.name}: expected a name for each column of inputs [samples, columns], got "
            f"{len(self.columns)} for {list(self.images.shape)}",
        )

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.targets)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return tuple(self.images.shape[1:])

    @property
    def origin(self) -> object:
        """An object that is the same for two sets if and only if their samples are the same."""
        return self.images if isinstance(self.images, Tensor) else self.images.whole

    def subset(self, index: Int[Tensor, " chosen"]) -> ImageSet:
        """Return some of the samples, in the order given; those in memory are copied.

        Args:
            index: their positions, int64.
        """
        ids = None if self.ids is None else tuple(self.ids[i] for i in index.tolist())
        images = self.images
        chosen = images[index] if isinstance(images, Tensor) else images.take(index)
        return replace(self, images=chosen, targets=self.targets[index], ids=ids)

    def with_targets(self, targets: Int[Tensor, " samples"]) -> ImageSet:
        """Return the same samples with other labels.

        Args:
            targets: labels, ``[samples]``, int64.
        """
        return replace(self, targets=targets)


def check_class_names(name: str, class_names: tuple[str, ...]) -> None:
    """Raise :class:`InputError` unless there are at least two names, all different."""
    require(
        len(class_names) >= 2, f"{name}: expected two class names or more, got {len(class_names)}"
    )
    require(
        len(set(class_names)) == len(class_names),
        f"{name}: expected class names that differ, got {', '.join(class_names)}",
    )
