"""A data set with noisy training targets, as the training loop takes it."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Int
from torch import Tensor

from metaloss.types import Loader

from .noisy_labels import NoisyLabels


@dataclass(frozen=True)
class Task:
    """A data set with noisy training labels; a :class:`metaloss.types.TaskLike`.

    Attributes:
        name: what the records call it.
        class_names: a name for each class.
        sample_shape: the shape of one sample, without the batch.
        train: training samples with the labels to train on.
        meta: clean samples that the adjuster is meta-trained on; ``None`` if there are none.
        validation: held-out clean samples for choices; ``None`` if there are none.
        test: clean samples that nothing is chosen by.
        train_targets: the labels of ``train``, addressed by a batch's ``index``; on the CPU.
        noise: what noise did to them; ``None`` if it was not made here.
        test_checked: whether the labels of ``test`` are known to be right.

    Example:
        >>> from metaloss.tasks import classification_task, digits
        >>> task = classification_task(data=digits, num_meta=100, num_test=360)
        >>> task.num_classes, task.train.num_samples, task.test.num_samples
        (10, 1337, 360)
    """

    name: str
    class_names: tuple[str, ...]
    sample_shape: tuple[int, ...]
    train: Loader
    meta: Loader | None
    validation: Loader | None
    test: Loader
    train_targets: Int[Tensor, " samples"]
    noise: NoisyLabels | None
    test_checked: bool = True

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def flipped(self) -> Bool[Tensor, " samples"] | None:
        """Which of ``train_targets`` are wrong; ``None`` where the noise was not made here."""
        return None if self.noise is None else self.noise.flipped

    @property
    def class_counts(self) -> Int[Tensor, " classes"]:
        """How many training samples carry the label of each class."""
        return self.train_targets.bincount(minlength=self.num_classes)
