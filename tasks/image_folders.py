"""Data sets of images in one folder for each class."""

from __future__ import annotations

from pathlib import Path

from metaloss.files import user_path

from .file_transforms import PILTransform
from .folder_set import TIMEOUT, FolderSet
from .image_set import ImageSet
from .listed_sources import files_of, images_of
from .listings import list_parts
from .sources import Source


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
    """Read a data set of image files that are decoded into memory.

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
    root = user_path(root)
    return images_of(
        list_parts(root, {"train": train, "test": test, "clean": clean}),
        name=name or root.resolve().name,
        size=size,
        labels_checked=labels_checked,
        channels=channels,
        cache=cache,
        threads=threads,
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
    timeout: float = TIMEOUT,
    name: str | None = None,
) -> Source[FolderSet]:
    """Read a data set of image files that are read when they are needed.

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
        timeout: the seconds after which a batch that the workers have not read ends the run; 0 to
            wait without end.
        name: the name of the data set; by default, that of ``root``.

    Raises:
        InputError: a folder is missing, or the folders have different classes.

    Example:
        >>> from metaloss.tasks import image_files
        >>> source = image_files("data/clothing", clean="clean_val", workers=8)  # doctest: +SKIP
    """
    root = user_path(root)
    return files_of(
        list_parts(root, {"train": train, "test": test, "clean": clean}),
        name=name or root.resolve().name,
        size=size,
        labels_checked=labels_checked,
        train_transform=train_transform,
        eval_transform=eval_transform,
        workers=workers,
        timeout=timeout,
    )
