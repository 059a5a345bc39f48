"""Clothing1M."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import torch

from metaloss.checks import require
from metaloss.seeding import generator

from .file_transforms import PILTransform, squared_files
from .folder_set import TIMEOUT, FolderSet
from .listed_sources import files_of
from .listings import Listing, list_named
from .published import Publication, read_lines, refuse_others
from .sources import Source
from .stratified import stratified

PUBLICATION = Publication(
    title="Clothing1M",
    folders=("clothing1m", "Clothing1M", "clothing1M"),
    holds=(
        "images",
        *(
            f"{name}.txt"
            for name in (
                "category_names_eng",
                "noisy_train_key_list",
                "noisy_label_kv",
                "clean_train_key_list",
                "clean_test_key_list",
                "clean_label_kv",
            )
        ),
    ),
    archive="the images and lists that its authors give on request",
    page="https://github.com/Cysu/noisy_label",
)
CLASSES = 14
CLEAN = ("clean_train", "clean_val")


def clothing1m(
    root: str | Path,
    *,
    size: int = 224,
    subset: int | None = None,
    seed: int = 0,
    clean: str | None = "clean_train",
    train_transform: PILTransform | None = None,
    eval_transform: PILTransform | None = None,
    workers: int = 0,
    timeout: float = TIMEOUT,
) -> Source[FolderSet]:
    """Clothing1M: a million photographs of clothes in 14 classes, with noisy labels.

    The labels of the training images come from the text around them, and many are wrong. Of other
    images, 47,570, 14,313 and 10,526 have checked labels: the lists ``clean_train``,
    ``clean_val`` and ``clean_test``. The last are the test images. An image of the training list
    that is also a test image or a clean image here is not trained on.

    Images are of any size and are read when they are needed.

    Args:
        root: the folder that holds ``images``, ``category_names_eng.txt``,
            ``noisy_train_key_list.txt``, ``noisy_label_kv.txt``, ``clean_train_key_list.txt``,
            ``clean_val_key_list.txt``, ``clean_test_key_list.txt`` and ``clean_label_kv.txt``; or
            the folder that holds it as ``clothing1m``. The lists begin each image with ``images/``.
        size: the height and width that the transforms return.
        subset: training images, chosen at random with the classes in the proportions that the whole
            list has them in; by default, all. The paper takes 100,000.
        seed: the seed of that choice. The seed of a run does not change it.
        clean: the list of the clean images, "clean_train" or "clean_val"; ``None`` for none.
        train_transform: maps a PIL image to a tensor, ``[3, size, size]``. By default, as the paper
            says, it scales to 8/7 of ``size`` in both directions, crops at the centre and
            normalises by ImageNet's statistics, without randomness.
        eval_transform: likewise, and without randomness in any case.
        workers: number of processes that read images; 0 to read them in this process.
        timeout: as for :func:`image_files`.

    Returns:
        The source, with the class names of ``category_names_eng.txt``. An image that a list names
        twice counts once.

    Raises:
        InputError: a file is missing, a list has lines of another form, or there are fewer training
            images than asked for.

    Example:
        >>> from metaloss.tasks import clothing1m
        >>> source = clothing1m("data/clothing1m", subset=100_000, workers=8)  # doctest: +SKIP

    References:
        Section 4.4 of the paper; Xiao et al., Learning from massive noisy labeled data for image
        classification, 2015.
    """
    require(
        clean is None or clean in CLEAN,
        f"clean: expected None or one of {', '.join(CLEAN)}, got {clean!r}",
    )
    folder = PUBLICATION.find(root)
    path = folder / "category_names_eng.txt"
    names = tuple(read_lines(path))
    require(len(names) == CLASSES, f"{path}: expected {CLASSES} names of classes, got {len(names)}")
    checked = _labels(folder / "clean_label_kv.txt")
    test = _keys(folder, "clean_test")
    verified = _keys(folder, clean) if clean else []
    train = _keys(folder, "noisy_train", besides={*test, *verified})
    noisy = _labels(folder / "noisy_label_kv.txt")
    if subset is not None:
        targets = _targets(folder, "noisy_train", train, noisy)
        chosen = stratified(targets, subset, generator(seed, "stratified"))
        train = [train[position] for position in chosen.tolist()]
    parts = {
        "train": _listed(folder, "noisy_train", train, noisy, names),
        "test": _listed(folder, "clean_test", test, checked, names),
    }
    if clean:
        parts["clean"] = _listed(folder, clean, verified, checked, names)
    return files_of(
        parts,
        name="clothing1m",
        size=size,
        train_transform=train_transform or squared_files(size),
        eval_transform=eval_transform or squared_files(size),
        workers=workers,
        timeout=timeout,
    )


def _labels(path: Path) -> dict[str, int]:
    """Return the label of each image of a file of ``IMAGE LABEL`` in each line."""
    lines = read_lines(path)
    # From the right: names of images have commas, and may have spaces.
    entries = [line.rsplit(None, 1) for line in lines]
    known = {str(label): label for label in range(CLASSES)}
    refuse_others(
        path,
        f"an image and a label in 0..{CLASSES - 1} in each line",
        [
            line
            for line, entry in zip(lines, entries, strict=True)
            if len(entry) != 2 or entry[1] not in known
        ],
    )
    return {image: known[label] for image, label in entries}


def _keys(folder: Path, part: str, besides: Collection[str] = ()) -> list[str]:
    lines = read_lines(folder / f"{part}_key_list.txt")
    return [key for key in dict.fromkeys(lines) if key not in besides]


def _targets(folder: Path, part: str, keys: list[str], labels: Mapping[str, int]) -> torch.Tensor:
    refuse_others(
        folder / f"{part}_key_list.txt",
        "images that have a label",
        [key for key in keys if key not in labels],
    )
    return torch.tensor([labels[key] for key in keys])


def _listed(
    folder: Path, part: str, keys: list[str], labels: Mapping[str, int], names: tuple[str, ...]
) -> Listing:
    targets = _targets(folder, part, keys, labels)
    return list_named(folder, keys, targets, names, f"{part}_key_list.txt")
