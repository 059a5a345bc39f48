"""Data sets with their published parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from metaloss.checks import require

from .folder_set import FolderSet
from .image_set import ImageSet
from .noisy_labels import NoisyLabels

Samples = TypeVar("Samples", bound=ImageSet | FolderSet)


@dataclass(frozen=True)
class Source(Generic[Samples]):
    """A data set as it was published.

    Attributes:
        train: the training samples. A task may take its meta and validation samples out of them.
        test: the test samples; ``None`` if there are none. A task then takes test samples out of
            ``train``.
        clean: samples with verified labels, for data whose training labels are noisy as published;
            ``None`` if there are none.
        labels_checked: whether the labels of ``train`` are known to be right, before a task adds
            noise to them. If not, test figures by samples out of ``train`` are marked as being by
            unchecked labels.
        noisy: noisy labels that were published beside those of ``train``, which are then the right
            ones. A task trains on them, and needs no noise. ``None`` if there are none.
        test_checked: whether the labels of ``test`` are known to be right.

    Raises:
        InputError: the parts differ in their classes or in the shape of a sample, or ``noisy`` was
            made from other labels than those of ``train``.

    Example:
        >>> from metaloss.tasks import digits
        >>> source = digits()
        >>> len(source.train), source.test
        (1797, None)
    """

    train: Samples
    test: Samples | None = None
    clean: Samples | None = None
    labels_checked: bool = False
    noisy: NoisyLabels | None = None
    test_checked: bool = True

    def __post_init__(self) -> None:
        """Check that the parts match."""
        for part in (self.test, self.clean):
            if part is None:
                continue
            require(
                part.class_names == self.train.class_names,
                f"{part.name}: expected the classes of {self.train.name} "
                f"({_shorten(self.train.class_names)}), got ({_shorten(part.class_names)})",
            )
            require(
                part.sample_shape == self.train.sample_shape,
                f"{part.name}: expected samples {list(self.train.sample_shape)} as in "
                f"{self.train.name}, got {list(part.sample_shape)}",
            )
        if self.noisy is not None:
            classes = len(self.train.class_names)
            require(
                self.noisy.num_classes == classes,
                f"noisy: expected labels of {classes} classes, got {self.noisy.num_classes}",
            )
            self.noisy.check_made_from(self.train.targets, "noisy")


def _shorten(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown}, ... {len(names)} in all"
