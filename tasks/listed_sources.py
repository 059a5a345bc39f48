"""Sources of listed image files, decoded into memory or read when they are needed."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch

from metaloss.checks import check_at_least
from metaloss.files import user_path

from .decoding import DECODING, check_channels, decode
from .file_transforms import PILTransform, centre_crop_files, crop_and_flip_files
from .folder_set import TIMEOUT, FolderSet
from .image_set import ImageSet
from .listings import Listing
from .sources import Source
from .tensor_files import load_tensors, save_tensors

_CACHE_SIZE = 2  # number of sources in memory
_CACHE_KIND = "metaloss decoded images, version 1"


def images_of(
    listings: Mapping[str, Listing],
    *,
    name: str,
    size: int | None = None,
    labels_checked: bool = False,
    channels: int = 3,
    cache: str | Path | None = None,
    threads: int | None = None,
) -> Source[ImageSet]:
    """Decode listed images into memory.

    Args:
        listings: the images of "train" and, if there are any, of "test" and "clean".
        name: the name of the data set.
        size: height and width of the result; if not given, that of all images.
        labels_checked: as for :class:`Source`.
        channels: 3 for colour, 1 for grey.
        cache: a file for the decoded images, as for :func:`metaloss.tasks.image_folder`.
        threads: number of threads that decode; by default, the number of processors.

    Raises:
        InputError: an argument is out of range, a file cannot be read as an image, images differ in
            size, or ``cache`` is a file of another kind.
    """
    if size is not None:
        check_at_least("size", size, 1)
    threads = check_at_least("threads", threads or os.cpu_count() or 1, 1)
    check_channels(channels)
    return _read_images(
        tuple(listings.items()),
        size=size,
        labels_checked=labels_checked,
        channels=channels,
        cache=None if cache is None else user_path(cache),
        threads=threads,
        name=name,
    )


def files_of(
    listings: Mapping[str, Listing],
    *,
    name: str,
    size: int,
    labels_checked: bool = False,
    train_transform: PILTransform | None = None,
    eval_transform: PILTransform | None = None,
    workers: int = 0,
    timeout: float = TIMEOUT,
) -> Source[FolderSet]:
    """Return listed images that are read when they are needed.

    Args:
        listings: the images of "train" and, if there are any, of "test" and "clean".
        name: the name of the data set.
        size: the height and width that the transforms return.
        labels_checked: as for :class:`Source`.
        train_transform: maps a PIL image to a tensor; by default, as for
            :func:`metaloss.tasks.image_files`.
        eval_transform: likewise, without randomness.
        workers: number of processes that read images; 0 to read them in this process.
        timeout: as for :class:`FolderSet`.

    Raises:
        InputError: a number is out of range.
    """
    sets = {
        part: FolderSet(
            listing.files,
            listing.targets,
            listing.class_names,
            _called(name, part),
            size,
            train_transform or crop_and_flip_files(size),
            eval_transform or centre_crop_files(size),
            workers,
            timeout,
        )
        for part, listing in listings.items()
    }
    return Source(sets["train"], sets.get("test"), sets.get("clean"), labels_checked)


@functools.lru_cache(_CACHE_SIZE)
def _read_images(
    listings: tuple[tuple[str, Listing], ...],
    *,
    size: int | None,
    labels_checked: bool,
    channels: int,
    cache: Path | None,
    threads: int,
    name: str,
) -> Source[ImageSet]:
    key = json.dumps(
        [DECODING, size, channels, *((part, listing.fingerprint) for part, listing in listings)]
    )
    images = None if cache is None else _cached(cache, key)
    if images is None:
        images = {
            part: decode(listing.files, channels, size, threads) for part, listing in listings
        }
        if cache is not None:
            save_tensors(cache, _CACHE_KIND, images, {"key": key})
    sets = {
        part: ImageSet(
            images[part],
            listing.targets,
            listing.class_names,
            _called(name, part),
            listing.files,
        )
        for part, listing in listings
    }
    return Source(sets["train"], sets.get("test"), sets.get("clean"), labels_checked)


def _cached(cache: Path, key: str) -> dict[str, torch.Tensor] | None:
    """Read a cache file; ``None`` if it does not exist or is of other images."""
    if not cache.exists():
        return None
    images, metadata = load_tensors(cache, _CACHE_KIND)  # raises if the file is not a cache
    return images if metadata.get("key") == key else None


def _called(name: str, part: str) -> str:
    return name if part == "train" else f"{name} ({part})"
