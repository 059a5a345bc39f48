"""Sets of image files that are read when they are needed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jaxtyping import Int
from torch import Tensor

from metaloss.checks import check_at_least, check_in_range, check_labels, require

from .file_transforms import PILTransform
from .image_set import check_class_names

# Far above what a batch takes, also on a slow file system: a worker that takes longer hangs.
TIMEOUT = 600.0


@dataclass(frozen=True)
class FolderSet:
    """Image files, their labels and their transforms.

    Attributes:
        files: their paths.
        targets: labels, ``[samples]``, int64.
        class_names: a name for each class, all different; at least two.
        name: the name of the set.
        size: the height and width that the transforms return.
        train_transform: maps a training image to a tensor, ``[3, size, size]``.
        eval_transform: maps an image to a tensor in evaluation, without randomness.
        workers: number of processes that read images; 0 to read them in this process.
        timeout: the seconds after which a batch that the workers have not read ends the run; 0 to
            wait without end.

    Raises:
        InputError: a number is out of range, a label has no class name, or files and labels differ
            in number.

    Example:
        >>> from metaloss.tasks import image_files
        >>> source = image_files("data/pets", size=224)  # doctest: +SKIP
        >>> source.train.sample_shape  # doctest: +SKIP
        (3, 224, 224)
    """

    files: tuple[str, ...]
    targets: Int[Tensor, " samples"]
    class_names: tuple[str, ...]
    name: str
    size: int
    train_transform: PILTransform
    eval_transform: PILTransform
    workers: int = 0
    timeout: float = TIMEOUT

    def __post_init__(self) -> None:
        """Check the files, the labels and the class names."""
        check_at_least(f"{self.name}: size", self.size, 1)
        check_at_least(f"{self.name}: workers", self.workers, 0)
        check_in_range(f"{self.name}: timeout", self.timeout, 0.0)
        check_class_names(self.name, self.class_names)
        check_labels(f"{self.name}: targets", self.targets, len(self.class_names))
        require(
            len(self.files) == len(self.targets),
            f"{self.name}: expected a label for each file, got {len(self.targets)} labels and "
            f"{len(self.files)} files",
        )

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.targets)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of one sample, transformed."""
        return (3, self.size, self.size)

    @property
    def origin(self) -> object:
        """An object that is the same for two sets if and only if their samples are the same."""
        return self.files

    @property
    def ids(self) -> tuple[str, ...]:
        """The paths, which are the names of the samples."""
        return self.files

    def subset(self, index: Int[Tensor, " chosen"]) -> FolderSet:
        """Return some of the samples, in the order given.

        Args:
            index: their positions, int64.
        """
        files = tuple(self.files[position] for position in index.tolist())
        return replace(self, files=files, targets=self.targets[index])

    def with_targets(self, targets: Int[Tensor, " samples"]) -> FolderSet:
        """Return the same samples with other labels.

        Args:
            targets: labels, ``[samples]``, int64.
        """
        return replace(self, targets=targets)
