"""The shapes of the data that the parts of metaloss hand to one another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from metaloss.arguments import check_arguments

Outputs: TypeAlias = Float[Tensor, "batch outputs"]
"""A network's: logits, one a class, or values."""

Targets: TypeAlias = Int[Tensor, " batch"] | Float[Tensor, "batch outputs"]
"""Labels of classes, or values."""


class Batch(NamedTuple):
    """Samples drawn together.

    Attributes:
        inputs: what the model takes, ``[batch, ...]``.
        targets: class labels, ``[batch]``, int64; for regression values, ``[batch, values]``.
        index: each sample's id, ``[batch]``, int64: its position in the set it was drawn from.
            ``None`` where nothing needs it.
    """

    inputs: Tensor
    targets: Tensor
    index: Tensor | None = None  # type: ignore[assignment]  # the tuple's method is not missed


@runtime_checkable
class Loader(Protocol):
    """A source of batches that is a pure function of the epoch's number.

    Nothing is hidden in it: the same epoch always gives the same batches, so that a resumed run
    needs two integers and no generator state.
    """

    @property
    def num_samples(self) -> int:
        """Samples in the set."""
        ...

    def __len__(self) -> int:
        """Batches in an epoch."""
        ...

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of epoch ``number``, counted from 0."""
        ...


@runtime_checkable
class Reviewable(Protocol):
    """A loader of training batches that can also be read from end to end."""

    def in_order(self) -> Loader:
        """The same samples, each once and in their order, as they are evaluated on."""
        ...


@runtime_checkable
class Fingerprinted(Protocol):
    """A loader that tells its samples from others, so that a resumed run has the same ones."""

    @property
    def fingerprint(self) -> str:
        """A digest of the samples and their targets, the same in another process."""
        ...


@runtime_checkable
class TaskLike(Protocol):
    """A data set with noisy training targets, as the training loop sees it."""

    @property
    def name(self) -> str:
        """What the records call it."""
        ...

    @property
    def num_classes(self) -> int | None:
        """Number of classes; ``None`` where the targets are values: regression."""
        ...

    @property
    def train(self) -> Loader:
        """Training samples with the labels to train on, noisy ones among them."""
        ...

    @property
    def meta(self) -> Loader | None:
        """Clean samples that the adjuster is meta-trained on; ``None`` if there are none."""
        ...

    @property
    def validation(self) -> Loader | None:
        """Held-out samples for choices; ``None`` if there are none."""
        ...

    @property
    def test(self) -> Loader:
        """Samples that nothing is chosen by; clean, or the task has ``test_checked = False``."""
        ...

    @property
    def train_targets(self) -> Int[Tensor, " samples"] | Float[Tensor, "samples values"]:
        """The targets of ``train``, addressed by a batch's ``index``."""
        ...

    @property
    def flipped(self) -> Bool[Tensor, " samples"] | None:
        """Which of ``train_targets`` are wrong; ``None`` where nobody knows."""
        ...


def has_checked_test(task: TaskLike) -> bool:
    """Whether a task's test figures are by targets that somebody checked.

    Args:
        task: one that says otherwise has an attribute ``test_checked`` that is false.

    Example:
        >>> from metaloss.tasks import classification_task, digits
        >>> from metaloss.types import has_checked_test
        >>> has_checked_test(classification_task(data=digits, num_meta=100, num_test=360))
        True
    """
    return bool(getattr(task, "test_checked", True))


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """A task that is still to be made, the network that is trained on it, and how.

    Attributes:
        name: what records and folders call it.
        task: makes it, called with ``seed`` and ``device``.
        model: makes a fresh network; ``None`` for the one that all tasks of the run have.
        recipe: how it is trained, a :class:`~metaloss.training.Recipe`; ``None`` for the run's.

    Example:
        >>> from metaloss.types import TaskSpec
        >>> TaskSpec(name="digits", task=lambda *, seed, device: ...).model is None
        True
    """

    name: str
    task: Callable[..., TaskLike]
    model: Callable[[], nn.Module] | None = None
    recipe: Any = None

    def __post_init__(self) -> None:
        """Check the arguments' types."""
        check_arguments(self)
