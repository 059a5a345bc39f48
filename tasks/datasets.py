"""Published data sets whose images fit in memory.

The same arguments and the same files give the same :class:`Source`. A task is built for every seed,
and reading files is slow, so the last few sources are cached in memory. The cache is keyed by the
files' paths, sizes and modification times. Cached sources are shared: do not modify their tensors.
"""

from __future__ import annotations

import functools
import pickle
import tarfile
import zlib
from http.client import HTTPException
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from metaloss.checks import InputError, require
from metaloss.files import user_path
from metaloss.shim import import_torchvision

from .class_names import DIGITS_CLASSES, FASHION_MNIST_CLASSES
from .idx import find_idx, read_idx
from .image_folders import image_folder
from .image_set import ImageSet
from .sources import Source

_CACHE_SIZE = 2  # number of sources of each kind in memory
_CIFAR_URL = "https://www.cs.toronto.edu/~kriz/cifar.html"
Stamp = tuple[str, int, int]
# The errors that torchvision raises for the network, the disk, and files that are not its own.
_CIFAR_ERRORS = (
    OSError,
    RuntimeError,
    HTTPException,
    EOFError,
    tarfile.TarError,
    pickle.UnpicklingError,
    zlib.error,
)


def digits() -> Source[ImageSet]:
    """Return the 1,797 grey 8x8 handwritten digits that come with scikit-learn.

    Returns:
        Training samples only, with pixels scaled from 0..16 to 0..255. A task takes its test
        samples out of them.

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
        root: the folder of the four IDX files, plain or ``.gz``; or torchvision's folder, which has
            them in ``FashionMNIST/raw``.

    Raises:
        InputError: a file is missing or damaged.

    Example:
        >>> from metaloss.tasks import fashion_mnist
        >>> source = fashion_mnist("data/fashion-mnist")  # doctest: +SKIP

    References:
        Xiao et al., Fashion-MNIST: a novel image dataset for benchmarking machine learning
        algorithms, 2017.
    """
    stamps = [
        _stamp(find_idx(user_path(root), f"{part}-{content}"))
        for part in ("train", "t10k")
        for content in ("images-idx3-ubyte", "labels-idx1-ubyte")
    ]
    return _read_fashion_mnist(*stamps)


def cifar10(root: str | Path, download: bool = False, size: int = 32) -> Source[ImageSet]:
    """CIFAR-10: 50,000 and 10,000 colour 32x32 images of ten classes.

    Args:
        root: the folder that torchvision downloads to, which holds ``cifar-10-batches-py``; or one
            with image files in ``train/CLASS`` and ``test/CLASS``.
        download: whether to download the data if it is missing.
        size: height and width of the images; 32, or less for a quick run.

    Raises:
        InputError: the data is missing, cannot be downloaded, or its checksums are not the
            published ones.

    Example:
        >>> from metaloss.tasks import cifar10
        >>> source = cifar10("data", download=True)  # doctest: +SKIP
    """
    return _cifar("CIFAR10", "cifar10", user_path(root), download, size)


def cifar100(root: str | Path, download: bool = False, size: int = 32) -> Source[ImageSet]:
    """CIFAR-100: 50,000 and 10,000 colour 32x32 images of a hundred classes.

    Args:
        root: the folder that torchvision downloads to, which holds ``cifar-100-python``; or one
            with image files in ``train/CLASS`` and ``test/CLASS``.
        download: whether to download the data if it is missing.
        size: height and width of the images; 32, or less for a quick run.

    Raises:
        InputError: the data is missing, cannot be downloaded, or its checksums are not the
            published ones.

    Example:
        >>> from metaloss.tasks import cifar100
        >>> source = cifar100("data", download=True)  # doctest: +SKIP
    """
    return _cifar("CIFAR100", "cifar100", user_path(root), download, size)


@functools.lru_cache(_CACHE_SIZE)
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


def _stamp(path: Path) -> Stamp:
    """Return a file's path, modification time and size, the key of its content in memory."""
    status = path.stat()
    return str(path.resolve()), status.st_mtime_ns, status.st_size


def _cifar(kind: str, name: str, root: Path, download: bool, size: int) -> Source[ImageSet]:
    folder = root / getattr(import_torchvision().datasets, kind).base_folder
    if not folder.is_dir() and (root / "train").is_dir():
        found = image_folder(root, size, labels_checked=True, name=name)
        classes = len(found.train.class_names)
        require(
            f"CIFAR{classes}" == kind,
            f"{root / 'train'}: expected a folder for each class of {kind}, got {classes} folders",
        )
        return found
    require(
        download or folder.is_dir(),
        f"{folder}: expected {kind} as it is published ({_CIFAR_URL}), unpacked there, found none; "
        f"or image files in {root / 'train'} and {root / 'test'}",
    )
    stamps = tuple(_stamp(file) for file in sorted(folder.glob("*"))) if folder.is_dir() else ()
    return _read_cifar(kind, name, root, download, size, stamps)


@functools.lru_cache(_CACHE_SIZE)
def _read_cifar(
    kind: str, name: str, root: Path, download: bool, size: int, _stamps: tuple[Stamp, ...]
) -> Source[ImageSet]:
    data = getattr(import_torchvision().datasets, kind)

    def read(train: bool) -> ImageSet:
        try:
            part = data(str(root), train=train, download=download)
        except _CIFAR_ERRORS as error:
            how = f"cannot download it to {root}" if download else "cannot read it"
            said = " ".join(str(error).split()) or type(error).__name__
            if "corrupted" in said:  # torchvision goes on with a parameter that files do not have
                said = "a file is missing or damaged; unpack the archive again"
            raise InputError(
                f"{root / data.base_folder}: expected {kind}, {how}: {said}"
            ) from error
        images = torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous()
        called = name if train else f"{name} (test)"
        if size != images.shape[-1]:
            images = _resized(images, size)
        return ImageSet(images, torch.tensor(part.targets), tuple(part.classes), called)

    return Source(read(train=True), read(train=False), labels_checked=True)


def _resized(images: Tensor, size: int) -> Tensor:
    """Return square uint8 images of another size, interpolated with antialiasing."""
    parts = [
        F.interpolate(part.float(), size, mode="bilinear", antialias=True).round().to(torch.uint8)
        for part in torch.split(images, 5000)
    ]
    return torch.cat(parts)
