"""Sets of samples in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Int
from torch import Tensor

from metaloss.checks import check_finite, check_labels, require, seen


@dataclass(frozen=True)
class ImageSet:
    """Samples and their labels, in memory.

    Attributes:
        images: uint8 images, ``[samples, channels, height, width]``, or finite floating-point
            inputs of any shape, ``[samples, ...]``.
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

    images: Tensor
    targets: Int[Tensor, " samples"]
    class_names: tuple[str, ...]
    name: str
    ids: tuple[str, ...] | None = None
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the samples, the labels and the class names."""
        is_tensor = isinstance(self.images, Tensor)
        if is_tensor and self.images.is_floating_point():
            require(
                self.images.ndim >= 2,
                f"{self.name}: expected inputs [samples, ...], got {list(self.images.shape)}",
            )
            check_finite(f"{self.name}: inputs", self.images)
        else:
            require(
                is_tensor and self.images.dtype == torch.uint8 and self.images.ndim == 4,
                f"{self.name}: expected uint8 images [samples, channels, height, width] or "
                f"floating-point inputs, got {seen(self.images)}",
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
        """Number of samples."""
        return len(self.targets)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return tuple(self.images.shape[1:])

    @property
    def origin(self) -> object:
        """An object that is the same for two sets if and only if their samples are the same."""
        return self.images

    def subset(self, index: Int[Tensor, " chosen"]) -> ImageSet:
        """Return a copy of some of the samples, in the order given.

        Args:
            index: their positions, int64.
        """
        ids = None if self.ids is None else tuple(self.ids[i] for i in index.tolist())
        return replace(self, images=self.images[index], targets=self.targets[index], ids=ids)

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
