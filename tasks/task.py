"""A data set with noisy training targets, as the training loop takes it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from metaloss.checks import InputError, require
from metaloss.inputs import Inputs
from metaloss.types import Loader, Selectable

from .corruption import NoisyValues
from .meta_samples import MetaSamples
from .noisy_labels import NoisyLabels


@dataclass(frozen=True)
class Task:
    """A data set with noisy training targets; a :class:`metaloss.types.TaskLike`.

    The targets are class labels, or values in a regression task.

    Attributes:
        name: the task's name in the records.
        class_names: a name for each class; ``None`` if the targets are values.
        sample_shape: the shape of one sample, without the batch dimension.
        train: training samples with the targets to train on.
        meta: samples to meta-train the adjuster on; ``None`` if there are none.
        validation: held-out clean samples for model selection; ``None`` if there are none.
        test: clean samples for the final figures; nothing is selected by them.
        train_targets: the targets of ``train``, indexed by a batch's ``index``, on the CPU:
            ``[samples]``, int64, or values ``[samples, values]``.
        noise: the training targets before and after noise; ``None`` if no noise was added.
        test_checked: whether the targets of ``test`` are known to be right.
        meta_samples: where the samples of ``meta`` come from.
        meta_checked: whether the targets of ``meta`` are known to be right.
        train_ids: a name for each training sample: the path of its file, or its position in the
            data set; ``None`` if they have none.
        inputs: how the inputs are made, so that others can be predicted without the data; ``None``
            if the targets are values.
        held_out_ids: a name for each sample of ``test``, in the order of the loader's positions, if
            they were taken out of the training samples; else ``None``.
        shared: the positions in ``train`` of the samples of ``meta``, ``[meta samples]``, int64, if
            they are trained on too.

    Example:
        >>> from metaloss.tasks import classification_task, digits
        >>> task = classification_task(data=digits, num_meta=100, num_test=360)
        >>> task.num_classes, task.train.num_samples, task.test.num_samples
        (10, 1337, 360)
    """

    name: str
    class_names: tuple[str, ...] | None
    sample_shape: tuple[int, ...]
    train: Loader
    meta: Loader | None
    validation: Loader | None
    test: Loader
    train_targets: Int[Tensor, " samples"] | Float[Tensor, "samples values"]
    noise: NoisyLabels | NoisyValues | None
    test_checked: bool = True
    meta_samples: MetaSamples = field(default_factory=MetaSamples)
    meta_checked: bool = True
    train_ids: tuple[str, ...] | None = None
    inputs: Inputs | None = None
    held_out_ids: tuple[str, ...] | None = None
    shared: Int[Tensor, " meta"] | None = None

    @property
    def num_classes(self) -> int | None:
        """Number of classes; ``None`` if the targets are values."""
        return None if self.class_names is None else len(self.class_names)

    @property
    def flipped(self) -> Bool[Tensor, " samples"] | None:
        """Which of ``train_targets`` are wrong; ``None`` if no noise was added."""
        return None if self.noise is None else self.noise.flipped

    def select(self, index: Int[Tensor, " chosen"]) -> Task:
        """Return the task with some of its training samples; all other samples stay.

        Meta samples that are trained on too stay if they are among the chosen ones, so that nothing
        is learned from the targets of the others.

        Args:
            index: positions of training samples, int64, all different.

        Raises:
            InputError: A loader cannot be cut down, or no meta sample is among the chosen ones.

        Example:
            >>> import torch
            >>> from metaloss.tasks import classification_task, digits
            >>> task = classification_task(data=digits, num_meta=100, num_test=360)
            >>> few = task.select(torch.arange(0, 1337, 2))
            >>> few.train.num_samples, len(few.train_targets), few.meta.num_samples
            (669, 669, 100)
        """
        index = index.cpu()
        meta, shared, ids = self.meta, self.shared, self.train_ids
        if meta is not None and shared is not None:
            places = torch.full((len(self.train_targets),), -1)
            places[index] = torch.arange(len(index))
            kept = (places[shared] >= 0).nonzero().squeeze(1)
            require(len(kept) > 0, f"task {self.name}: expected meta samples among those chosen")
            meta, shared = _selected(meta, kept), places[shared[kept]]
        return replace(
            self,
            train=_selected(self.train, index),
            meta=meta,
            shared=shared,
            train_targets=self.train_targets[index],
            train_ids=ids and tuple(ids[at] for at in index.tolist()),
            noise=None if self.noise is None else self.noise.select(index),
        )


def _selected(loader: Loader, index: Tensor) -> Loader:
    if not isinstance(loader, Selectable):
        raise InputError(
            f"expected a loader with select(index), as metaloss.types.Selectable, got a "
            f"{type(loader).__name__}"
        )
    found: Loader = loader.select(index)
    return found
