"""A data set with the parts its publishers divided it into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, runtime_checkable

from metaloss.checks import require


@runtime_checkable
class SampleSet(Protocol):
    """What the parts of a source have in common, whether in memory or in files."""

    @property
    def name(self) -> str:
        """What to call the set."""
        ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """A name for each class."""
        ...

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        ...


Samples = TypeVar("Samples", bound=SampleSet)


@dataclass(frozen=True)
class Source(Generic[Samples]):
    """A data set as it was published.

    Attributes:
        train: the samples to train on; meta and validation samples can be taken out of them.
        test: the samples to test on; ``None`` if there are none, and a task then takes them out of
            ``train``.
        clean: samples whose labels have been verified, where the labels of ``train`` are noisy as
            published; ``None`` if there are none.
        labels_checked: whether the labels of ``train`` are known to be right, before a task puts
            noise on them. If not, test figures by samples taken out of ``train`` are marked as by
            unchecked labels.

    Raises:
        InputError: the parts do not have the same classes and the same shape of sample.

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

    def __post_init__(self) -> None:
        """Check that the parts go together."""
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


def _shorten(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown}, ... {len(names)} in all"
