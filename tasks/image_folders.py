"""Data sets of images in one folder for each class."""

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
from .folder_set import FolderSet
from .image_set import ImageSet
from .listings import Listing, list_parts
from .sources import Source
from .tensor_files import load_tensors, save_tensors

_CACHE_SIZE = 2  # number of sources in memory
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
    """A data set of image files that are decoded into memory.

    For images too large for that, :func:`metaloss.tasks.image_files` reads each when it is needed.

    Args:
        root: a folder laid out as ``root/<part>/<class>/<image>``, each part as for
            ``torchvision.datasets.ImageFolder``.
        size: height and width of the result. Each image is scaled to cover the square and cropped
            at its centre. If not given, all images must have the same size.
        train: the folder of training images.
        test: the folder of test images; ``None`` if there is none.
        clean: the folder of images with verified labels, if the training labels are noisy.
        labels_checked: whether the labels of ``train`` are known to be right; see :class:`Source`.
        channels: 3 for colour, 1 for grey.
        cache: a file for the decoded images. It is read in place of the images as long as the list
            of files, their sizes and their modification times stay the same, and rewritten if not.
        threads: number of threads that decode; by default, the number of processors.
        name: the name of the data set; by default, that of ``root``.

    Raises:
        InputError: a folder is missing, the folders have different classes, a file cannot be read
            as an image, images differ in size, or ``cache`` is a file of another kind.

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

    For images that fit in memory decoded, :func:`metaloss.tasks.image_folder` trains faster.

    Args:
        root: a folder laid out as ``root/<part>/<class>/<image>``.
        size: the height and width that the transforms return.
        train: the folder of training images.
        test: the folder of test images; ``None`` if there is none.
        clean: the folder of images with verified labels, if the training labels are noisy.
        labels_checked: whether the labels of ``train`` are known to be right; see :class:`Source`.
        train_transform: maps a PIL image to a tensor, ``[3, size, size]``. By default, it scales
            the shorter side to 8/7 of ``size``, crops and flips at random, and normalises by
            ImageNet's statistics.
        eval_transform: likewise, without randomness. By default, it crops at the centre.
        workers: number of processes that read images; 0 to read them in this process.
        name: the name of the data set; by default, that of ``root``.

    Raises:
        InputError: a folder is missing, or the folders have different classes.

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
            _called(name, part),
            size,
            train_transform or crop_and_flip_files(size),
            eval_transform or centre_crop_files(size),
            workers,
        )
        for part, listing in listings.items()
    }
    return Source(**sets, labels_checked=labels_checked)


@functools.lru_cache(_CACHE_SIZE)
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
        )
        for part, listing in listings
    }
    return Source(**sets, labels_checked=labels_checked)


def _cached(cache: Path, key: str) -> dict[str, torch.Tensor] | None:
    """Read a cache file; ``None`` if it does not exist or is of other images."""
    if not cache.exists():
        return None
    images, metadata = load_tensors(cache, _CACHE_KIND)  # raises if the file is not a cache
    return images if metadata.get("key") == key else None


def _called(name: str, part: str) -> str:
    return name if part == "train" else f"{name} ({part})"
