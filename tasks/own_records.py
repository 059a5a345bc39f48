"""Samples of one's own, with their names and labels as they were found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from metaloss.checks import require

from .decoding import shown


@dataclass(frozen=True)
class Records:
    """Samples whose labels are still words.

    Attributes:
        ids: a name for each sample, all different: its path, or its row's.
        labels: the label of each sample, as text.
        samples: the paths of image files, or the samples themselves: uint8 images, ``[samples,
            channels, height, width]``, or floating-point inputs, ``[samples, ...]``.
        source: where they were found, for messages.
        columns: the names of the columns of a table; empty for anything else.

    Raises:
        InputError: there is no sample, the numbers differ, or two samples have the same name.

    Example:
        >>> from metaloss.tasks.own_records import Records
        >>> pets = Records(("1.png", "2.png"), ("cat", "dog"), ("a/1.png", "a/2.png"), "a")
        >>> len(pets), pets.are_files, pets.select([1]).labels
        (2, True, ('dog',))
    """

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    samples: tuple[str, ...] | Tensor
    source: str
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that there is something of everything for each sample."""
        require(len(self.ids) > 0, f"{self.source}: expected samples, found none")
        require(
            len(self.ids) == len(self.labels) == len(self.samples),
            f"{self.source}: expected a name and a label for each sample, got {len(self.ids)} "
            f"names, {len(self.labels)} labels and {len(self.samples)} samples",
        )
        twice = repeated(self.ids)
        require(
            not twice,
            f"{self.source}: expected a name of its own for each sample, {len(twice)} names occur "
            f"twice or more, such as {shown((twice or [''])[0])}",
        )

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.ids)

    @property
    def are_files(self) -> bool:
        """Whether the samples are image files."""
        return not isinstance(self.samples, Tensor)

    def select(self, positions: Sequence[int]) -> Records:
        """Return some of the samples, in the order given.

        Args:
            positions: their positions; at least one.
        """
        if isinstance(self.samples, Tensor):
            samples: tuple[str, ...] | Tensor = self.samples[torch.tensor(positions)]
        else:
            samples = tuple(self.samples[i] for i in positions)
        return replace(
            self,
            ids=tuple(self.ids[i] for i in positions),
            labels=tuple(self.labels[i] for i in positions),
            samples=samples,
        )


def class_names(labels: Iterable[str], source: str) -> tuple[str, ...]:
    """Return the different labels in order: by number if all are whole numbers, else by name.

    Args:
        labels: the labels of the training samples.
        source: where they were found, for the message.

    Raises:
        InputError: there is one class only, or a label is empty.

    Example:
        >>> from metaloss.tasks.own_records import class_names
        >>> class_names(["10", "9", "10"], "a table"), class_names(["dog", "cat"], "a folder")
        (('9', '10'), ('cat', 'dog'))
        >>> class_names(["1", "01", "001", "0"], "a table")
        ('0', '001', '01', '1')
    """
    found = set(labels)
    require("" not in found, f"{source}: expected a label for each sample, some are empty")
    require(
        len(found) >= 2,
        f"{source}: expected two classes or more, got {len(found)}: {', '.join(sorted(found))}",
    )
    try:
        return tuple(sorted(found, key=lambda label: (int(label), label)))  # "1" and "01" differ
    except ValueError:
        return tuple(sorted(found))


def repeated(values: Iterable[str]) -> list[str]:
    """Return the values that occur more than once, each once.

    Example:
        >>> from metaloss.tasks.own_records import repeated
        >>> repeated(["a", "b", "a", "a"])
        ['a']
    """
    seen: set[str] = set()
    return list(dict.fromkeys(v for v in values if v in seen or seen.add(v)))  # type: ignore[func-returns-value]
