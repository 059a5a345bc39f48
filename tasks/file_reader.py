"""Batches of images out of files, read in this process or by workers that stay alive."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from metaloss.checks import InputError, require
from metaloss.seeding import derive

from .decoding import open_image, shown
from .folder_set import FolderSet

_LOOK = 5.0  # seconds after which it is looked whether the workers are alive


class Wanted(NamedTuple):
    """An image to read.

    Attributes:
        position: its position in the set.
        seed: the seed of the epoch's augmentation; ``None`` for the evaluation transform.
    """

    position: int
    seed: int | None


class FileReader:
    """Reads and transforms the images of a set, batch by batch.

    The workers are started when they are needed first, and stay for what is read later. A copy of a
    reader starts its own.

    Args:
        data: the image files.
        pin_memory: whether batches are in memory that is copied to a GPU without waiting.
    """

    def __init__(self, data: FolderSet, *, pin_memory: bool = False) -> None:
        self._data = data
        self._pin_memory = pin_memory
        self._kept: DataLoader[Tensor] | None = None
        self._in_use = False

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy without the workers."""
        return _made, (self._data, self._pin_memory)

    def read(self, wanted: Sequence[Sequence[Wanted]]) -> Iterator[Tensor]:
        """Yield the images of one batch after the other, ``[batch, 3, size, size]``.

        Args:
            wanted: what each batch consists of.

        Raises:
            InputError: as :class:`FolderLoader` says.
        """
        if self._data.workers == 0 or self._in_use:  # workers read one sequence at a time
            yield from self._checked(self._loader(wanted))
            return
        if self._kept is None:
            self._kept = self._loader(wanted, persistent=True)
        assert isinstance(self._kept.batch_sampler, _Batches)
        self._kept.batch_sampler.wanted = wanted
        self._in_use, finished = True, False
        try:
            yield from self._checked(self._kept)
            finished = True
        finally:
            self._in_use = False
            if not finished:  # its workers may be dead, or busy for longer than torch would wait
                self._kept = None

    def _loader(
        self, wanted: Sequence[Sequence[Wanted]], *, persistent: bool = False
    ) -> DataLoader[Tensor]:
        data = self._data
        return DataLoader(
            _Images(data),
            batch_sampler=_Batches(wanted),
            num_workers=min(data.workers, _cores()),  # of more, torch warns that they are slow
            timeout=min(_LOOK, data.timeout or _LOOK) if data.workers else 0,
            # Without a generator of its own, DataLoader draws from the global one.
            generator=torch.Generator(),
            pin_memory=self._pin_memory,
            collate_fn=_collate,
            persistent_workers=persistent,
        )

    def _checked(self, loader: DataLoader[Tensor]) -> Iterator[Tensor]:
        for batch in _while_alive(loader, self._data):
            if isinstance(batch, InputError):
                raise batch
            yield batch


def _cores() -> int:
    """Return the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # not on Linux


def _made(data: FolderSet, pin_memory: bool) -> FileReader:
    return FileReader(data, pin_memory=pin_memory)


class _Batches:
    """The batches of the next epoch, as DataLoader asks for them."""

    def __init__(self, wanted: Sequence[Sequence[Wanted]]) -> None:
        self.wanted = wanted

    def __iter__(self) -> Iterator[list[Any]]:
        return (list(batch) for batch in self.wanted)

    def __len__(self) -> int:
        return len(self.wanted)


class _Images(Dataset[Tensor]):
    """The transformed images.

    An :class:`InputError` is returned in place of the batch, not raised: torch would wrap an error
    that a worker raises in that process's traceback.
    """

    def __init__(self, data: FolderSet) -> None:
        self._data = data

    def __getitems__(self, wanted: list[Wanted]) -> list[Tensor] | InputError:
        try:
            return [self[each] for each in wanted]
        except InputError as error:
            return error

    def __getitem__(self, wanted: Wanted) -> Tensor:
        file = self._data.files[wanted.position]
        image = open_image(file, channels=3)
        try:
            sample = self._transformed(image, wanted)
        except Exception as error:  # a user's transform may raise anything
            raise InputError(
                f"{shown(file)}: expected an image that can be transformed, "
                f"got {type(error).__name__}: {error}"
            ) from error
        found = list(sample.shape) if isinstance(sample, Tensor) else f"a {type(sample).__name__}"
        require(
            found == list(self._data.sample_shape),
            f"{self._data.name}: expected transforms that return {list(self._data.sample_shape)}, "
            f"got {found} from {shown(file)}",
        )
        return sample

    def _transformed(self, image: Image.Image, wanted: Wanted) -> Tensor:
        if wanted.seed is None:
            return self._data.eval_transform(image)
        # torchvision's transforms draw from the global CPU generator. torch.manual_seed would seed
        # the accelerator's generator too.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive(wanted.seed, wanted.position))
            return self._data.train_transform(image)


def _while_alive(loader: DataLoader[Tensor], data: FolderSet) -> Iterator[Tensor | InputError]:
    """Yield the batches, and turn a worker that dies or hangs into an :class:`InputError`."""
    batches = iter(loader)
    began = time.monotonic()
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except RuntimeError as error:
            if "DataLoader timed out" not in str(error):
                raise _died(data, error) from None
            if 0 < data.timeout <= time.monotonic() - began:
                raise InputError(
                    f"{data.name}: expected workers that read until the end, but none had a batch "
                    f"after {data.timeout:g} seconds; use workers=0 to see where they hang, or a "
                    "longer timeout"
                ) from None
            continue  # torch looks whether a worker has died each time that it gives up
        yield batch
        began = time.monotonic()


def _died(data: FolderSet, error: RuntimeError) -> Exception:
    if "DataLoader worker" not in str(error):
        return error
    return InputError(
        f"{data.name}: expected workers that read until the end, but one died, most likely killed "
        "because memory ran out; use fewer workers or a smaller batch"
    )


def _collate(samples: list[Tensor] | InputError) -> Tensor | InputError:
    return samples if isinstance(samples, InputError) else default_collate(samples)
