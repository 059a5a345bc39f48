"""Tiny ImageNet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from metaloss.checks import require

from .image_set import ImageSet
from .listed_sources import images_of
from .listings import Listing, images_in, list_images, list_named
from .published import Publication, check_count, read_lines, refuse_others
from .sources import Source

PUBLICATION = Publication(
    title="Tiny ImageNet",
    folders=("tiny-imagenet-200",),
    holds=("wnids.txt", "words.txt", "train", "val/images", "val/val_annotations.txt"),
    archive="tiny-imagenet-200.zip",
    page="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
)
CLASSES, TRAIN, TEST = 200, 100_000, 10_000
"""The published numbers of classes, training and validation images."""


def tiny_imagenet(
    root: str | Path,
    *,
    complete: bool = True,
    cache: str | Path | None = None,
    threads: int | None = None,
) -> Source[ImageSet]:
    """Tiny ImageNet: 100,000 and 10,000 colour 64x64 images of 200 classes.

    The published labels of the test images are secret. As usual, the 10,000 validation images are
    the test set here, and the published test images are not read.

    The images are decoded into memory: all of them are 1.3 GB of uint8. Batches are then gathered
    and augmented on the device, and noise that depends on the images can be added. The first
    reading takes minutes; ``cache`` keeps its result for later ones.

    Args:
        root: the folder that ``tiny-imagenet-200.zip`` was unpacked in, or
            ``tiny-imagenet-200`` itself. It holds ``wnids.txt``, ``words.txt``,
            ``train/nXXXXXXXX/images/*.JPEG``, ``val/images/*.JPEG`` and
            ``val/val_annotations.txt``.
        complete: whether to refuse another number of classes or images than the published one.
        cache: a file for the decoded images, as for :func:`image_folder`.
        threads: number of threads that decode; by default, the number of processors.

    Returns:
        The source. Classes are numbered in the order of their WordNet ids, as in
        ``torchvision.datasets.ImageFolder``, and have the names of ``words.txt``. The labels are
        checked.

    Raises:
        InputError: a file is missing, damaged, or not in the lists.

    Example:
        >>> from metaloss.tasks import tiny_imagenet
        >>> source = tiny_imagenet("data", cache="data/tiny.safetensors")  # doctest: +SKIP

    References:
        Section 4.4 of the paper; Le and Yang, Tiny ImageNet visual recognition challenge, 2015.
    """
    folder = PUBLICATION.find(root)
    ids = tuple(sorted(read_lines(folder / "wnids.txt")))
    if complete:
        check_count(folder / "wnids.txt", "classes", len(ids), CLASSES)
    names = _class_names(folder / "words.txt", ids)
    train = list_images(folder / "train", ids)
    empty = (train.targets.bincount(minlength=len(ids)) == 0).nonzero().squeeze(1).tolist()
    require(
        not empty,
        f"{folder / 'train'}: expected images of the {len(ids)} classes of wnids.txt, found none "
        f"of {len(empty)} of them, such as {ids[(empty or [0])[0]]}",
    )
    test = _validation_images(folder / "val", {wnid: label for label, wnid in enumerate(ids)})
    if complete:
        check_count(folder / "train", "images", len(train.files), TRAIN)
        check_count(folder / "val", "images", len(test.files), TEST)
    return images_of(
        {
            part: replace(each, class_names=names)
            for part, each in (("train", train), ("test", test))
        },
        name="tiny_imagenet",
        labels_checked=True,
        cache=cache,
        threads=threads,
    )


def _class_names(path: Path, ids: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words for each WordNet id; with the id, where two classes have the same words."""
    words = dict(line.partition("\t")[::2] for line in read_lines(path))
    refuse_others(path, "words for each class of wnids.txt", [i for i in ids if not words.get(i)])
    found = [words[wnid] for wnid in ids]
    return tuple(
        text if found.count(text) == 1 else f"{text} ({wnid})"
        for wnid, text in zip(ids, found, strict=True)
    )


def _validation_images(folder: Path, labels: Mapping[str, int]) -> Listing:
    path = folder / "val_annotations.txt"
    lines = read_lines(path)
    entries = [line.split("\t")[:2] for line in lines]
    known = [len(entry) == 2 and entry[1] in labels for entry in entries]
    refuse_others(
        path,
        "a file name and a class of wnids.txt in each line",
        [line for line, fits in zip(lines, known, strict=True) if not fits],
    )
    label_of = {file: labels[wnid] for file, wnid in entries}
    refuse_others(
        folder / "images",
        "the images of val_annotations.txt alone",
        [file for file in images_in(folder / "images") if file not in label_of],
    )
    targets = torch.tensor(list(label_of.values()))
    return list_named(
        folder / "images", list(label_of), targets, tuple(labels), "val_annotations.txt"
    )
