"""The parts of a data set of one's own as samples: arrays, and image files that are decoded."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from metaloss.checks import InputError, check_at_least, require

from .decoding import check_channels, decode, shown
from .file_transforms import centre_crop_files, crop_and_flip_files
from .folder_set import TIMEOUT, FolderSet
from .image_set import ImageSet
from .own_parts import OwnParts
from .own_records import Records
from .partition import AnySource
from .sources import Source

_SHOWN = 5  # unreadable files that a note names
_CACHED = 4  # parts whose pixels are kept in memory


class OwnSource(NamedTuple):
    """A data set of one's own, and what should be known of it.

    Attributes:
        source: the samples.
        notes: a sentence each.
    """

    source: AnySource
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ImageReading:
    """How image files are read: the arguments of :func:`own_data` of the same names.

    Raises:
        InputError: ``channels`` or ``size`` is out of range, or images stay in files and there is
            no ``size``.
    """

    size: int | None = None
    channels: int = 3
    in_memory: bool = True
    workers: int = 0
    timeout: float = TIMEOUT
    flip: bool = True
    strict: bool = False

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_channels(self.channels)
        if self.size is not None:
            check_at_least("size", self.size, 1)


def own_source(
    found: OwnParts, how: ImageReading | None = None, *, train_as_test: bool = False
) -> OwnSource:
    """Read the parts of a data set of one's own.

    Args:
        found: the parts.
        how: how image files are read; arrays are taken as they are.
        train_as_test: as for :func:`own_data`.

    Raises:
        InputError: images cannot be read, or stay in files without a size.
    """
    how = how or ImageReading()
    sets: dict[str, Any] = {}
    notes = list(found.notes)
    for part, records in found.parts.items():
        name = found.name if part == "train" else f"{found.name} ({part})"
        number = {label: at for at, label in enumerate(found.class_names)}
        targets = torch.tensor([number[label] for label in records.labels])
        if isinstance(records.samples, Tensor):
            sets[part] = ImageSet(
                records.samples, targets, found.class_names, name, records.ids, records.columns
            )
            continue
        files = _Files(records, targets, found.class_names, name)
        sets[part], unreadable = (_in_memory if how.in_memory else _in_files)(files, how)
        notes += _note(records, unreadable)
    test = sets.get("test") or (sets["train"] if train_as_test else None)
    checked = found.test_checked and "test" in sets
    source = Source(sets["train"], test, sets.get("clean"), test_checked=checked)
    return OwnSource(source, tuple(notes))


class _Files(NamedTuple):
    """The image files of a part."""

    records: Records
    targets: Tensor
    class_names: tuple[str, ...]
    name: str

    def readable(self, unreadable: Mapping[int, str], how: ImageReading) -> _Files:
        """Return the files without those that cannot be read."""
        _check_readable(self.records, unreadable, strict=how.strict)
        kept = [at for at in range(len(self.records)) if at not in unreadable]
        return self._replace(records=self.records.select(kept), targets=self.targets[kept])


def _in_memory(files: _Files, how: ImageReading) -> tuple[ImageSet, Mapping[int, str]]:
    images, unreadable = _pixels(files.records, how)
    files = files.readable(unreadable, how)
    ids = files.records.ids
    return ImageSet(images, files.targets, files.class_names, files.name, ids), unreadable


def _in_files(files: _Files, how: ImageReading) -> tuple[FolderSet, Mapping[int, str]]:
    if how.size is None:
        raise InputError("size: expected a number for images that stay in files, got None")
    unreadable = _unreadable(tuple(map(str, files.records.samples)))
    files = files.readable(unreadable, how)
    read = FolderSet(
        files.records.ids,
        files.targets,
        files.class_names,
        files.name,
        how.size,
        crop_and_flip_files(how.size, flip=how.flip),
        centre_crop_files(how.size),
        how.workers,
        how.timeout,
    )
    return read, unreadable


def _pixels(records: Records, how: ImageReading) -> tuple[Tensor, Mapping[int, str]]:
    files = tuple(map(str, records.samples))
    stats = [Path(file).stat() for file in files]
    changed = tuple((each.st_size, each.st_mtime_ns) for each in stats)
    return _decoded(files, changed, how.size, how.channels)


@functools.lru_cache(_CACHED)
def _decoded(
    files: tuple[str, ...],
    changed: tuple[tuple[int, int], ...],  # noqa: ARG001 - part of the key of the cache
    size: int | None,
    channels: int,
) -> tuple[Tensor, Mapping[int, str]]:
    unreadable: dict[int, str] = {}
    images = decode(files, channels, size, os.cpu_count() or 1, unreadable)
    return images, unreadable


def _unreadable(files: tuple[str, ...]) -> dict[int, str]:
    """Return the positions of damaged image files, and what is wrong; no pixels are kept."""

    def trouble(file: str) -> str | None:
        try:
            with Image.open(file) as image:
                if image.format == "PNG":
                    image.verify()  # by its checksums
                else:
                    image.draft(None, (1, 1))  # a JPEG is read to its end, at an eighth of its size
                    image.load()
        except Exception as error:  # PIL's decoders may raise anything
            return f"{shown(file)}: expected an image, cannot read it: {error}"
        return None

    with ThreadPoolExecutor() as pool:
        found = enumerate(pool.map(trouble, files))
        return {at: why for at, why in found if why is not None}


def _check_readable(records: Records, unreadable: Mapping[int, str], *, strict: bool) -> None:
    first = next(iter(sorted(unreadable.items())), (0, ""))[1]
    require(not (strict and unreadable), f"{len(unreadable)} images cannot be read: {first}")
    require(
        len(unreadable) < len(records),
        f"{records.source}: expected images, none of {len(records)} can be read: {first}",
    )


def _note(records: Records, unreadable: Mapping[int, str]) -> list[str]:
    if not unreadable:
        return []
    named = [shown(records.samples[at]) for at in sorted(unreadable)][:_SHOWN]  # type: ignore[arg-type]
    more = ", ..." if len(unreadable) > len(named) else ""
    return [
        f"{len(unreadable)} of {len(records)} images cannot be read and are left out: "
        f"{', '.join(named)}{more}"
    ]
