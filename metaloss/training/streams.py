"""Batches without end, from loaders that know epochs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import count, islice

from metaloss.types import Batch, Loader


def stream(loader: Loader, start: int = 0) -> Iterator[Batch]:
    """The batches of epoch after epoch, beginning with number ``start``.

    Args:
        loader: a source of batches.
        start: how many batches to pass over, as a resumed run does.
    """
    first, offset = divmod(start, len(loader))
    for epoch in count(first):
        yield from islice(loader.epoch(epoch), offset if epoch == first else 0, None)


def windows(batches: Iterator[Batch], size: int) -> Iterator[list[Batch]]:
    """Each batch together with the ``size - 1`` that come after it.

    Example:
        >>> from metaloss.training.streams import windows
        >>> [w for w, _ in zip(windows(iter("abcd"), 2), range(2))]
        [['a', 'b'], ['b', 'c']]
    """
    window = deque(islice(batches, size - 1), maxlen=size)
    for batch in batches:
        window.append(batch)
        yield list(window)
