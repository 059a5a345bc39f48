"""Samples of one's own from any place that holds some."""

from __future__ import annotations

from pathlib import Path

from metaloss.checks import InputError, require
from metaloss.files import user_path

from .listings import list_images
from .own_arrays import read_arrays
from .own_datasets import is_saved_dataset, read_dataset
from .own_records import Records
from .own_tables import read_table

TRAIN, TEST = ("train", "training"), ("test", "val", "valid", "validation")
KINDS = (
    "a folder with a folder of images for each class, a CSV file, an .npz file, or a folder that "
    "the library datasets saved"
)


def read_records(path: str | Path, label: str = "label") -> dict[str, Records]:
    """Read the samples at a place, whatever their kind.

    Args:
        path: a folder of class folders, perhaps inside ``train`` and ``test`` (or ``val``); a CSV
            file; an ``.npz`` file; or a folder that Hugging Face's ``datasets`` saved.
        label: the name of the column of labels, in a CSV file or in ``datasets``.

    Returns:
        The samples of "train" and, if the place has them, of "test".

    Raises:
        InputError: there is nothing of these kinds, or it cannot be read.
    """
    place = user_path(path)
    if place.is_dir():
        if is_saved_dataset(place):
            return read_dataset(place, label)
        return read_folders(place)
    require(place.exists(), f"{place}: expected {KINDS}; found nothing there")
    if place.suffix.lower() in {".csv", ".tsv"}:
        return {"train": read_table(place, label)}
    if place.suffix.lower() == ".npz":
        return read_arrays(place)
    raise InputError(f"{place}: expected {KINDS}; got a file of another kind")


def read_folders(root: Path) -> dict[str, Records]:
    """Read class folders of images.

    Args:
        root: the class folders are in it, or in folders ``train`` and ``test`` (or ``val``) of it.

    Returns:
        The images of "train" and, if there are any, of "test".

    Raises:
        InputError: as :func:`~metaloss.tasks.listings.list_images`.
    """
    train = _part(root, TRAIN)
    if train is None:
        return {"train": _listed(root)}
    test = _part(root, TEST)
    return {"train": _listed(train)} | ({} if test is None else {"test": _listed(test)})


def _part(root: Path, names: tuple[str, ...]) -> Path | None:
    """Return the folder of a part: one of these names in any case, with folders in it.

    A class may be called "train", too. Its folder has images in it.
    """
    folders = {entry.name.lower(): entry for entry in sorted(root.iterdir()) if entry.is_dir()}
    for name in names:
        folder = folders.get(name)
        if folder is not None and any(entry.is_dir() for entry in folder.iterdir()):
            return folder
    return None


def _listed(folder: Path) -> Records:
    found = list_images(folder)
    labels = tuple(found.class_names[label] for label in found.targets.tolist())
    return Records(found.files, labels, found.files, str(folder))
