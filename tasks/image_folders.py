"""Data sets of one's own: images in a folder for each class."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path

import torch

from metaloss.checks import check_at_least
from metaloss.files import user_path

from .decoding import DECODING, check_channels, decode
from .file_transforms import PILTransform, centre_crop_files, crop_and_flip_files
from .files import load_tensors, save_tensors
from .folder_set import FolderSet
from .image_set import ImageSet
from .listings import Listing, list_parts
from .sources import Source

_KEPT = 2  # sources in memory
_CACHE_KIND = "metaloss decoded images, version 1"


def image_folder(
    root: str | Path,
    size: int | None = None,
    *,
    train: str = "train",
    test: str | None = "test",
    clean: str | None = None,
    labels_checked: bool = False,
    channels: int = 3,
    cache: str | Path | None = None,
    threads: int | None = None,
    name: str | None = None,
) -> Source[ImageSet]:
    """Small images in folders, decoded once.

    Args:
        root: a folder laid out as ``root/<part>/<class>/<image>``, as
            ``torchvision.datasets.ImageFolder`` reads each part.
        size: height and width; each image is scaled to cover the square and cropped at its centre.
            If not given, all have to be of one size.
        train: the folder of training images.
        test: the folder of test images; ``None`` if there is none.
        clean: the folder of images with verified labels, if the training labels are noisy.
        labels_checked: whether the labels of ``train`` are known to be right: see
            :class:`Source`.
        channels: 3 for colour, 1 for grey.
        cache: a file to keep the decoded images in. It is read instead of the images while the list
            of files, their sizes and their times of change are the same, and written anew when not.
        threads: that decode; as many as there are processors if not given.
        name: what to call it; the name of ``root`` if not given.

    Raises:
        InputError: a folder is not there, the folders' classes are not the same, a file cannot be
            read as an image, images are of several sizes, or ``cache`` is a file of another kind.

    Example:
        >>> from metaloss.tasks import image_folder
        >>> source = image_folder("data/pets", size=64, cache="pets.safetensors")  # doctest: +SKIP
    """
    if size is not None:
        check_at_least("size", size, 1)
    threads = check_at_least("threads", threads or os.cpu_count() or 1, 1)
    check_channels(channels)
    root = user_path(root)
    listings = list_parts(root, {"train": train, "test": test, "clean": clean})
    return _read_image_folder(
        tuple(listings.items()),
        size=size,
        labels_checked=labels_checked,
        channels=channels,
        cache=None if cache is None else user_path(cache),
        threads=threads,
        name=name or root.resolve().name,
    )


def image_files(
    root: str | Path,
    size: int = 224,
    *,
    train: str = "train",
    test: str | None = "test",
    clean: str | None = None,
    labels_checked: bool = False,
    train_transform: PILTransform | None = None,
    eval_transform: PILTransform | None = None,
    workers: int = 0,
    name: str | None = None,
) -> Source[FolderSet]:
    """A data set of image files that are read when they are needed.

    For images small enough to hold decoded, :func:`metaloss.tasks.image_folder` trains faster.

    Args:
        root: a folder laid out as ``root/<part>/<class>/<image>``.
        size: height and width that the transforms give.
        train: the folder of training images.
        test: the folder of test images; ``None`` if there is none.
        clean: the folder of images with verified labels, if the training labels are noisy.
        labels_checked: whether the labels of ``train`` are known to be right: see
            :class:`Source`.
        train_transform: from a PIL image to a tensor ``[3, size, size]``. If not given: scaled so
            that the shorter side is 8/7 of ``size``, cropped and flipped at random, normalised with
            ImageNet's statistics.
        eval_transform: likewise, without randomness. If not given: as above, with the centre crop.
        workers: processes that read images; 0 to read them in this one.
        name: what to call it; the name of ``root`` if not given.

    Raises:
        InputError: a folder is not there, or the folders' classes are not the same.

    Example:
        >>> from metaloss.tasks import image_files
        >>> source = image_files("data/clothing", clean="clean_val", workers=8)  # doctest: +SKIP
    """
    root = user_path(root)
    name = name or root.resolve().name
    listings = list_parts(root, {"train": train, "test": test, "clean": clean})
    sets = {
        part: FolderSet(
            listing.files,
            listing.targets,
            listing.class_names,
            name if part == "train" else f"{name} ({part})",
            size,
            train_transform or crop_and_flip_files(size),
            eval_transform or centre_crop_files(size),
            workers,
        )
        for part, listing in listings.items()
    }
    return Source(sets["train"], sets.get("test"), sets.get("clean"), labels_checked)


@functools.lru_cache(_KEPT)
def _read_image_folder(
    listings: tuple[tuple[str, Listing], ...],
    *,
    size: int | None,
    labels_checked: bool,
    channels: int,
    cache: Path | None,
    threads: int,
    name: str,
) -> Source[ImageSet]:
    parts = dict(listings)
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
            name if part == "train" else f"{name} ({part})",
        )
        for part, listing in parts.items()
    }
    return Source(sets["train"], sets.get("test"), sets.get("clean"), labels_checked)


def _cached(cache: Path, key: str) -> dict[str, torch.Tensor] | None:
    """The images in a cache file; ``None`` if it is not there or of other images."""
    if not cache.exists():
        return None
    images, metadata = load_tensors(cache, _CACHE_KIND)  # refuses a file that is not a cache
    return images if metadata.get("key") == key else None
