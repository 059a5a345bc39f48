"""Data sets whose decoded images fit in memory.

Each function is pure: the same arguments and the same files give the same :class:`Source`. Reading
is slow beside everything that follows, and a task is built anew for every seed, so the last few
sources stay in memory, addressed by the files' paths, sizes and times of change. They are shared:
do not write to their tensors.
"""

from __future__ import annotations

import functools
import json
import os
import pickle
import tarfile
import zlib
from http.client import HTTPException
from pathlib import Path

import torch

from metaloss.checks import InputError, check_at_least, require
from metaloss.files import user_path
from metaloss.shim import import_torchvision

from .decoding import DECODING, check_channels, decode
from .files import load_tensors, save_tensors, stamp
from .idx import find_idx, read_idx
from .images import ImageSet
from .listings import Listing, list_parts
from .sources import Source
from .tables import DIGITS_CLASSES, FASHION_MNIST_CLASSES

_KEPT = 2  # sources of each kind in memory
_CACHE_KIND = "metaloss decoded images, version 1"
Stamp = tuple[str, int, int]
# What torchvision lets through of the network, of the disk, and of files that are not its own.
_NO_CIFAR = (
    OSError,
    RuntimeError,
    HTTPException,
    EOFError,
    tarfile.TarError,
    pickle.UnpicklingError,
    zlib.error,
)


def digits() -> Source[ImageSet]:
    """The 1,797 grey 8x8 handwritten digits that come with scikit-learn.

    Returns:
        One set, pixels scaled from 0..16 to 0..255, and no test set; a task carves one out.

    Example:
        >>> from metaloss.tasks import digits
        >>> digits().train.sample_shape
        (1, 8, 8)
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    images = torch.from_numpy(data.images).mul(255 / 16).round().to(torch.uint8)
    targets = torch.from_numpy(data.target).to(torch.int64)
    samples = ImageSet(images[:, None], targets, DIGITS_CLASSES, "digits")
    return Source(samples, labels_checked=True)


def fashion_mnist(root: str | Path) -> Source[ImageSet]:
    """Fashion-MNIST: 60,000 and 10,000 grey 28x28 images of ten garments.

    Args:
        root: the folder of the four IDX files, plain or ``.gz``, or the folder torchvision
            downloaded to, which has them in ``FashionMNIST/raw``.

    Raises:
        InputError: a file is not there or damaged.

    Example:
        >>> from metaloss.tasks import fashion_mnist
        >>> source = fashion_mnist("data/fashion-mnist")  # doctest: +SKIP

    References:
        Xiao et al., Fashion-MNIST: a novel image dataset for benchmarking machine learning
        algorithms, 2017.
    """
    stamps = [
        stamp(find_idx(user_path(root), f"{part}-{content}"))
        for part in ("train", "t10k")
        for content in ("images-idx3-ubyte", "labels-idx1-ubyte")
    ]
    return _read_fashion_mnist(*stamps)


def cifar10(root: str | Path, download: bool = False) -> Source[ImageSet]:
    """CIFAR-10: 50,000 and 10,000 colour 32x32 images of ten classes.

    Args:
        root: the folder torchvision downloads to: it holds ``cifar-10-batches-py``.
        download: fetch it if it is not there.

    Raises:
        InputError: it is not there, cannot be downloaded, or its checksums differ from the
            published ones.

    Example:
        >>> from metaloss.tasks import cifar10
        >>> source = cifar10("data", download=True)  # doctest: +SKIP
    """
    return _cifar("CIFAR10", "cifar10", user_path(root), download)


def cifar100(root: str | Path, download: bool = False) -> Source[ImageSet]:
    """CIFAR-100: 50,000 and 10,000 colour 32x32 images of a hundred classes.

    Args:
        root: the folder torchvision downloads to: it holds ``cifar-100-python``.
        download: fetch it if it is not there.

    Raises:
        InputError: it is not there, cannot be downloaded, or its checksums differ from the
            published ones.

    Example:
        >>> from metaloss.tasks import cifar100
        >>> source = cifar100("data", download=True)  # doctest: +SKIP
    """
    return _cifar("CIFAR100", "cifar100", user_path(root), download)


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


@functools.lru_cache(_KEPT)
def _read_fashion_mnist(
    train_images: Stamp, train_targets: Stamp, test_images: Stamp, test_targets: Stamp
) -> Source[ImageSet]:
    def read(images: Stamp, targets: Stamp, name: str) -> ImageSet:
        return ImageSet(
            read_idx(Path(images[0]), dimensions=3)[:, None],
            read_idx(Path(targets[0]), dimensions=1).to(torch.int64),
            FASHION_MNIST_CLASSES,
            name,
        )

    return Source(
        read(train_images, train_targets, "fashion_mnist"),
        read(test_images, test_targets, "fashion_mnist (test)"),
        labels_checked=True,
    )


def _cifar(kind: str, name: str, root: Path, download: bool) -> Source[ImageSet]:
    folder = root / getattr(import_torchvision().datasets, kind).base_folder
    require(
        download or folder.is_dir(),
        f"{folder}: expected the folder that torchvision unpacks {kind} to, found none",
    )
    stamps = tuple(stamp(file) for file in sorted(folder.glob("*"))) if folder.is_dir() else ()
    return _read_cifar(kind, name, root, download, stamps)


@functools.lru_cache(_KEPT)
def _read_cifar(
    kind: str, name: str, root: Path, download: bool, _stamps: tuple[Stamp, ...]
) -> Source[ImageSet]:
    data = getattr(import_torchvision().datasets, kind)

    def read(train: bool) -> ImageSet:
        try:
            part = data(str(root), train=train, download=download)
        except _NO_CIFAR as error:
            how = f"cannot download it to {root}" if download else "cannot read it"
            said = " ".join(str(error).split()) or type(error).__name__
            raise InputError(
                f"{root / data.base_folder}: expected {kind}, {how}: {said}"
            ) from error
        images = torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous()
        called = name if train else f"{name} (test)"
        return ImageSet(images, torch.tensor(part.targets), tuple(part.classes), called)

    return Source(read(train=True), read(train=False), labels_checked=True)


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
