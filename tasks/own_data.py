"""A data set of one's own, with doubtful labels, from whatever holds it."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from metaloss.checks import InputError, check_at_least, require

from .decoding import check_channels, decode, shown
from .file_transforms import centre_crop_files, crop_and_flip_files
from .folder_set import FolderSet
from .image_set import ImageSet
from .own_parts import OwnParts, own_parts
from .own_records import Records
from .partition import AnySource
from .sources import Source

_SHOWN = 5  # unreadable files that a remark names
_CACHED = 4  # parts whose pixels are kept in memory


class OwnSource(NamedTuple):
    """A data set of one's own, and what should be known of it.

    Attributes:
        source: the samples.
        remarks: a sentence each.
    """

    source: AnySource
    remarks: tuple[str, ...]


def own_data(
    data: str | Path,
    *,
    clean: str | Path | None = None,
    test: str | Path | None = None,
    label: str = "label",
    train_as_test: bool = False,
    size: int | None = None,
    channels: int = 3,
    in_memory: bool = True,
    workers: int = 0,
    flip: bool = True,
    strict: bool = False,
) -> AnySource:
    r"""A data set whose labels nobody checked, but for those of ``clean`` and of a test set.

    Args:
        data: a folder with a folder of images for each class, perhaps inside folders ``train`` and
            ``test`` (or ``val``); a CSV file with a column of labels and either a column ``path``
            of images or columns of numbers; an ``.npz`` file with arrays ``x`` and ``y``; or a
            folder that Hugging Face's ``datasets`` saved.
        clean: samples whose labels somebody checked: a text file of paths or ids in ``data``, whose
            labels there are right; a CSV file of paths or ids with their right labels; a
            ``labels.csv`` of ``metaloss fit`` with the right labels of some samples in its column
            ``checked_label``; or further samples, in a place like ``data``. They are not trained
            on, and judge the training.
        test: test samples with checked labels, in a place like ``data``; in place of those that
            ``data`` has, whose labels count as unchecked.
        train_as_test: where there are no test samples, take the training samples for them, too. A
            task must allow that by ``allow_overlap=True``.
        label: the name of the column of labels.
        size: height and width of images. Each is scaled to cover the square and cropped at its
            centre. If not given, all image files must have the same size. Arrays keep theirs.
        channels: channels of image files: 3 for colour, 1 for grey.
        in_memory: decode image files into memory. If not, they are read when they are needed, in
            colour and with a ``size``.
        workers: number of processes that then read images.
        flip: whether images that are then read for training are flipped left to right at random.
        strict: refuse image files that cannot be read, in place of leaving them out.

    Returns:
        The source. Samples in several parts stay in the clean or the test part only.

    Raises:
        InputError: a place holds no samples or cannot be read, there is one class only, the parts
            differ in their kind or their classes, or an argument is out of range.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from metaloss.tasks import own_data
        >>> path = Path(tempfile.mkdtemp()) / "irises.csv"
        >>> _ = path.write_text("width,length,label\n0.2,1.4,setosa\n2.1,5.6,virginica\n")
        >>> source = own_data(path)
        >>> source.train.class_names, source.train.sample_shape
        (('setosa', 'virginica'), (2,))
    """
    found = own_parts(data, clean=clean, test=test, label=label)
    return own_source(
        found,
        train_as_test=train_as_test,
        size=size,
        channels=channels,
        in_memory=in_memory,
        workers=workers,
        flip=flip,
        strict=strict,
    ).source


def own_source(
    found: OwnParts,
    *,
    train_as_test: bool = False,
    size: int | None = None,
    channels: int = 3,
    in_memory: bool = True,
    workers: int = 0,
    flip: bool = True,
    strict: bool = False,
) -> OwnSource:
    """Decode the parts of a data set of one's own. The arguments are those of :func:`own_data`.

    Raises:
        InputError: an argument is out of range, or images cannot be read.
    """
    check_channels(channels)
    sets: dict[str, Any] = {}
    number = {name: at for at, name in enumerate(found.class_names)}
    remarks = list(found.remarks)
    for part, records in found.parts.items():
        name = found.name if part == "train" else f"{found.name} ({part})"
        targets = torch.tensor([number[label] for label in records.labels])
        if isinstance(records.samples, Tensor):
            sets[part] = ImageSet(
                records.samples, targets, found.class_names, name, records.ids, records.columns
            )
            continue
        if in_memory:
            images, unreadable = _pixels(records, size, channels)
        else:
            unreadable = _unreadable(records.samples)
        kept = [at for at in range(len(records)) if at not in unreadable]
        _check_readable(records, unreadable, strict=strict)
        remarks += _remark(records, unreadable)
        index = torch.tensor(kept)
        if in_memory:
            ids = tuple(records.ids[at] for at in kept)
            sets[part] = ImageSet(images, targets[index], found.class_names, name, ids)
        else:
            readable = _Files(tuple(records.ids[at] for at in kept), targets[index], name)
            sets[part] = _folder_set(readable, found, _needed(size), workers, flip=flip)
    test = sets.get("test") or (sets["train"] if train_as_test else None)
    checked = found.test_checked and "test" in sets
    source = Source(sets["train"], test, sets.get("clean"), test_checked=checked)
    return OwnSource(source, tuple(remarks))


class _Files(NamedTuple):
    """The readable images of a part."""

    paths: tuple[str, ...]
    targets: Tensor
    name: str


def _folder_set(
    files: _Files, found: OwnParts, size: int, workers: int, *, flip: bool
) -> FolderSet:
    return FolderSet(
        files.paths,
        files.targets,
        found.class_names,
        files.name,
        size,
        crop_and_flip_files(size, flip=flip),
        centre_crop_files(size),
        workers,
    )


def _needed(size: int | None) -> int:
    if size is None:
        raise InputError("size: expected a number for images that stay in files, got None")
    return check_at_least("size", size, 1)


def _pixels(records: Records, size: int | None, channels: int) -> tuple[Tensor, Mapping[int, str]]:
    files = tuple(map(str, records.samples))
    if size is not None:
        check_at_least("size", size, 1)
    stats = [Path(file).stat() for file in files]
    changed = tuple((each.st_size, each.st_mtime_ns) for each in stats)
    return _decoded(files, changed, size, channels)


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
    """Return the positions of damaged image files, and what is wrong, without decoding pixels."""

    def trouble(file: str) -> str | None:
        try:
            with Image.open(file) as image:
                image.verify()
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


def _remark(records: Records, unreadable: Mapping[int, str]) -> list[str]:
    if not unreadable:
        return []
    named = [shown(records.samples[at]) for at in sorted(unreadable)][:_SHOWN]  # type: ignore[arg-type]
    more = ", ..." if len(unreadable) > len(named) else ""
    return [
        f"{len(unreadable)} of {len(records)} images cannot be read and are left out: "
        f"{', '.join(named)}{more}"
    ]
