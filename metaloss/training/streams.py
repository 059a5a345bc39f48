"""Batches without end, from loaders that know epochs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import count, islice

from torch.utils.data import DataLoader

from metaloss.arguments import shown
from metaloss.checks import InputError, require
from metaloss.types import Batch, Loader


def check_loader(name: str, loader: object) -> None:
    """Raise :class:`~metaloss.checks.InputError` unless it gives the batches of an epoch.

    Example:
        >>> from metaloss.training.streams import check_loader
        >>> check_loader("train", [1, 2])
        Traceback (most recent call last):
            ...
        metaloss.checks.InputError: train: expected a metaloss.types.Loader, got a list
    """
    if isinstance(loader, DataLoader):
        raise InputError(
            f"{name}: expected a metaloss.types.Loader, got torch's DataLoader, which knows no "
            "epochs and no samples' ids; metaloss.tasks.BatchLoader(inputs, targets, batch_size) "
            "is one for tensors"
        )
    require(
        isinstance(loader, Loader),
        f"{name}: expected a metaloss.types.Loader, got {shown(loader)}",
    )


def stream(loader: Loader, start: int = 0, name: str = "loader") -> Iterator[Batch]:
    """The batches of epoch after epoch, beginning with number ``start``.

    Args:
        loader: a source of batches.
        start: how many batches to pass over, as a resumed run does.
        name: what to call the loader.

    Raises:
        InputError: an epoch has not as many batches as the loader says.
    """
    first, offset = divmod(start, len(loader))
    for epoch in count(first):
        found = 0
        for batch in islice(loader.epoch(epoch), len(loader)):
            found += 1
            if epoch > first or found > offset:
                yield batch
        require(
            found == len(loader),
            f"{name}: expected {len(loader)} batches in epoch {epoch}, got {found}",
        )


def windows(batches: Iterator[Batch], size: int) -> Iterator[list[Batch]]:
    """Each batch together with the ``size - 1`` that come after it.

    Args:
        batches: without end, or the last ``size - 1`` have no window.
        size: of a window, at least 1.

    Example:
        >>> from metaloss.training.streams import windows
        >>> [w for w, _ in zip(windows(iter("abcd"), 2), range(2))]
        [['a', 'b'], ['b', 'c']]
    """
    window = deque(islice(batches, size - 1), maxlen=size)
    for batch in batches:
        window.append(batch)
        yield list(window)
