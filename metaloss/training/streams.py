"""Endless streams of batches, made from loaders of epochs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from itertools import count, islice

from torch.utils.data import DataLoader

from metaloss.arguments import shown
from metaloss.checks import InputError, require
from metaloss.processes import equal_part, rank, world_size
from metaloss.types import Batch, Divisible, Loader, Reviewable


def check_loader(name: str, loader: object) -> None:
    """Raise :class:`~metaloss.checks.InputError` unless ``loader`` is a loader of epochs.

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


def in_order(loader: Loader) -> Loader:
    """Return a loader of the same samples in order and without augmentation.

    It is the loader itself unless that is :class:`~metaloss.types.Reviewable`.
    """
    return loader.in_order() if isinstance(loader, Reviewable) else loader


def stream(loader: Loader, start: int = 0, name: str = "loader") -> Iterator[Batch]:
    """Yield the batches of epoch after epoch, without end; the first ``start`` are skipped.

    Raises:
        InputError: An epoch has fewer batches than the loader's length.
    """
    first, offset = divmod(start, len(loader))
    for epoch in count(first):
        batches, found = iter(loader.epoch(epoch)), 0
        for batch in islice(batches, len(loader)):
            found += 1
            if epoch > first or found > offset:
                yield batch
        require(
            found == len(loader),
            f"{name}: expected {len(loader)} batches in epoch {epoch}, got {found}",
        )
        next(batches, None)  # the epoch ends, so that workers that read files stay for the next


def process_stream(loader: Loader, start: int = 0, name: str = "loader") -> Iterator[Batch]:
    """Yield this process's part of each batch of a :func:`stream`; all of it if it is alone.

    A loader reads the part alone if it is :class:`~metaloss.types.Divisible`.

    Raises:
        InputError: as for :func:`stream`; or a batch has fewer samples than there are processes.
    """
    if world_size() == 1:
        yield from stream(loader, start, name)
    elif isinstance(loader, Divisible):
        yield from stream(loader.part(rank(), world_size()), start, name)
    else:
        for batch in stream(loader, start, name):
            yield part_of(batch, equal_part(len(batch.targets), rank(), world_size()))


def part_of(batch: Batch, rows: slice) -> Batch:
    """Return some of a batch's samples.

    Example:
        >>> import torch
        >>> from metaloss.training.streams import part_of
        >>> from metaloss.types import Batch
        >>> part_of(Batch(torch.eye(3), torch.arange(3)), slice(1, 3)).targets
        tensor([1, 2])
    """
    inputs = batch.inputs
    if isinstance(inputs, Mapping):
        inputs = {name: value[rows] for name, value in inputs.items()}
    else:
        inputs = inputs[rows]
    index = None if batch.index is None else batch.index[rows]
    return Batch(inputs, batch.targets[rows], index)


def windows(batches: Iterator[Batch], size: int) -> Iterator[list[Batch]]:
    """Yield each batch together with the ``size - 1`` batches that follow it.

    Args:
        batches: the batches; the last ``size - 1`` of a finite stream have no window.
        size: the number of batches in a window, at least 1.

    Example:
        >>> from metaloss.training.streams import windows
        >>> [w for w, _ in zip(windows(iter("abcd"), 2), range(2))]
        [['a', 'b'], ['b', 'c']]
    """
    window = deque(islice(batches, size - 1), maxlen=size)
    for batch in batches:
        window.append(batch)
        yield list(window)
