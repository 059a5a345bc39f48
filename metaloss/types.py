"""Types that the parts of metaloss share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

from jaxtyping import Bool, Float, Int, Integer
from torch import Tensor, nn

from metaloss.arguments import check_arguments
from metaloss.inputs import Inputs

Outputs: TypeAlias = Float[Tensor, "batch outputs"]
"""A network's outputs: a logit for each class, or values."""

Targets: TypeAlias = Int[Tensor, " batch"] | Float[Tensor, "batch outputs"]
"""Class labels, or values."""


@runtime_checkable
class HasLogits(Protocol):
    """The output of a model that holds logits among other things."""

    logits: Tensor


Logits: TypeAlias = Float[Tensor, " *logits"] | Mapping[str, Any] | HasLogits
"""What a criterion is called with: outputs, also of several positions, or what holds them."""

Labels: TypeAlias = Integer[Tensor, " *positions"] | Float[Tensor, "batch outputs"]
"""The targets of a call: class labels, also of several positions and of one byte, or values."""


class Batch(NamedTuple):
    """A batch of samples.

    Attributes:
        inputs: the inputs of the model, ``[batch, ...]``. Lookaheads and lookbacks also take a
            mapping of tensors, and call the model with its entries as keyword arguments.
        targets: class labels, ``[batch]``, int64; for regression values, ``[batch, values]``.
        index: each sample's position in its data set, ``[batch]``, int64; ``None`` if it is not
            needed.
    """

    inputs: Tensor | Mapping[str, Tensor]
    targets: Tensor
    index: Tensor | None = None  # type: ignore[assignment]  # hides a method of tuples


@runtime_checkable
class Loader(Protocol):
    """A source of batches that is a pure function of the number of the epoch.

    The same epoch always gives the same batches, so that a resumed run needs two integers and no
    state of a generator.
    """

    @property
    def num_samples(self) -> int:
        """The number of samples in the set."""
        ...

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        ...

    def epoch(self, number: int) -> Iterator[Batch]:
        """Return the batches of epoch ``number``, counted from 0."""
        ...


@runtime_checkable
class Reviewable(Protocol):
    """A loader of training batches that can also be read from end to end."""

    def in_order(self) -> Loader:
        """Return a loader of the same samples, each once and in order, without augmentation."""
        ...


@runtime_checkable
class Divisible(Protocol):
    """A loader that can read one of several equal parts of each batch, and nothing else."""

    def part(self, rank: int, number: int) -> Loader:
        """Return a loader of the same batches, with some of the samples of each.

        Args:
            rank: which part, from 0.
            number: how many parts there are.
        """
        ...


@runtime_checkable
class Selectable(Protocol):
    """A loader, or a task, that can be cut down to some of its training samples."""

    def select(self, index: Int[Tensor, " chosen"]) -> Any:
        """Return the same with some of the training samples, in the order given.

        Args:
            index: their positions, int64. What is returned counts them from 0.
        """
        ...


@runtime_checkable
class Fingerprinted(Protocol):
    """A loader with a digest of its samples, so that a resumed run can check for the same ones."""

    @property
    def fingerprint(self) -> str:
        """A digest of the samples and their targets, the same in another process."""
        ...


@runtime_checkable
class TaskLike(Protocol):
    """A data set with noisy training targets, as the training loop uses it."""

    @property
    def name(self) -> str:
        """The name in records."""
        ...

    @property
    def num_classes(self) -> int | None:
        """The number of classes; ``None`` for regression."""
        ...

    @property
    def train(self) -> Loader:
        """The training samples, with noisy targets."""
        ...

    @property
    def meta(self) -> Loader | None:
        """Samples to meta-train the adjuster on; ``None`` if there are none.

        They are clean unless the task has ``meta_checked = False``.
        """
        ...

    @property
    def validation(self) -> Loader | None:
        """Held-out samples for model selection; ``None`` if there are none."""
        ...

    @property
    def test(self) -> Loader:
        """Test samples; they are clean unless the task has ``test_checked = False``."""
        ...

    @property
    def train_targets(self) -> Int[Tensor, " samples"] | Float[Tensor, "samples values"]:
        """The targets of ``train``; a batch's ``index`` refers to them."""
        ...

    @property
    def flipped(self) -> Bool[Tensor, " samples"] | None:
        """Which of ``train_targets`` are wrong; ``None`` if that is not known."""
        ...


@runtime_checkable
class Described(Protocol):
    """A task that says how its inputs are made, so that others can be predicted without it."""

    @property
    def inputs(self) -> Inputs | None:
        """How its inputs are made; ``None`` if they are not for classes."""
        ...


def inputs_of(task: TaskLike) -> Inputs | None:
    """Return how the inputs of a task are made; ``None`` if its targets are not classes.

    Args:
        task: the task. If it does not say, the kind of its inputs is unknown.

    Example:
        >>> from metaloss.tasks import classification_task, digits
        >>> from metaloss.types import inputs_of
        >>> inputs = inputs_of(classification_task(data=digits, num_meta=100, num_test=360))
        >>> inputs.kind, inputs.sample_shape
        ('images', (1, 8, 8))
    """
    if task.num_classes is None:
        return None
    if isinstance(task, Described) and isinstance(task.inputs, Inputs):
        return task.inputs
    return Inputs(
        kind="unknown",
        class_names=class_names(task),
        sample_shape=None,
        reason=f"its task is a {type(task).__name__}, which has no `inputs` that say how they are "
        "made (metaloss.types.Described)",
    )


def class_names(task: TaskLike) -> tuple[str, ...]:
    """Return the names of a task's classes, or their numbers if it has no names."""
    own = getattr(task, "class_names", None)
    return tuple(map(str, own or range(task.num_classes or 0)))


def has_checked_test(task: TaskLike) -> bool:
    """Return whether the test targets of a task were checked by somebody.

    Args:
        task: has an attribute ``test_checked`` that is false if they were not.

    Example:
        >>> from metaloss.tasks import classification_task, digits
        >>> from metaloss.types import has_checked_test
        >>> has_checked_test(classification_task(data=digits, num_meta=100, num_test=360))
        True
    """
    return bool(getattr(task, "test_checked", True))


def has_checked_meta(task: TaskLike) -> bool:
    """Return whether the targets of a task's meta samples were checked by somebody.

    Args:
        task: has an attribute ``meta_checked`` that is false if they were not.

    Example:
        >>> from functools import partial
        >>> from metaloss.tasks import classification_task, digits, noise
        >>> from metaloss.types import has_checked_meta
        >>> noisy = partial(noise.symmetric, rate=0.4)
        >>> task = classification_task(data=digits, noise=noisy, meta_from="shared", num_test=360)
        >>> has_checked_meta(task)
        False
    """
    return bool(getattr(task, "meta_checked", True))


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """Makes a task, with the network and the recipe to train on it.

    Attributes:
        name: the name in records and of folders.
        task: makes the task; called with ``seed`` and ``device``.
        model: makes a new network; ``None`` for the one that the run has for all tasks.
        recipe: a :class:`~metaloss.training.Recipe`; ``None`` for that of the run.

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
