"""The images of a folder that has a folder for each class."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from metaloss.checks import InputError, require
from metaloss.shim import import_torchvision

from .files import expect_folder


@dataclass(frozen=True)
class Listing:
    """The image files under ``folder/<class>/``, in torchvision's order.

    Two listings are equal if they are of the same folder and the same files, none changed since.

    Attributes:
        folder: where they are.
        fingerprint: SHA-256 over each file's path in the folder, size and time of change.
        files: their paths.
        targets: their labels, ``[files]``, int64.
        class_names: the names of the class folders, sorted.
    """

    folder: str
    fingerprint: str
    files: tuple[str, ...] = field(compare=False, repr=False)
    targets: Int[Tensor, " files"] = field(compare=False, repr=False)
    class_names: tuple[str, ...] = field(compare=False, repr=False)


def list_images(folder: Path, class_names: tuple[str, ...] | None = None) -> Listing:
    """List the images of ``folder/<class>/``, as ``torchvision.datasets.ImageFolder`` does.

    Args:
        folder: where they are.
        class_names: the classes; a folder of another name is refused and one may be missing. If not
            given, every folder is a class, and must hold an image.

    Raises:
        InputError: the folder is not there, holds no images, or its classes are not as above.
    """
    expect_folder(folder, "a folder with a folder of images for each class")
    module = import_torchvision().datasets.folder
    found = tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir()))
    require(
        len(found) > 0, f"{folder}: expected a folder of images for each class, found no folder"
    )
    names = found if class_names is None else class_names
    unknown = [name for name in found if name not in names]
    require(
        not unknown,
        f"{folder}: expected folders named as the training classes, got {', '.join(unknown)}",
    )
    labels = {name: label for label, name in enumerate(names)}
    try:
        samples = module.make_dataset(
            str(folder), labels, module.IMG_EXTENSIONS, allow_empty=class_names is not None
        )
    except FileNotFoundError as error:
        raise InputError(f"{folder}: expected images of every class: {error}") from error
    require(len(samples) > 0, f"{folder}: expected images, found none")
    files = tuple(path for path, _ in samples)
    targets = torch.tensor([label for _, label in samples])
    return Listing(str(folder.resolve()), _fingerprint(folder, files, names), files, targets, names)


def list_parts(root: Path, parts: Mapping[str, str | None]) -> dict[str, Listing]:
    """List the images of the parts of a data set, which share the classes of the first.

    Args:
        root: the data set's folder.
        parts: from each part's name to its folder in ``root``; ``None`` for a part that is not
            there.

    Raises:
        InputError: as :func:`list_images`.
    """
    listings: dict[str, Listing] = {}
    names = None
    for part, folder in parts.items():
        if folder is not None:
            listings[part] = list_images(root / folder, names)
            names = listings[part].class_names
    return listings


def _fingerprint(folder: Path, files: tuple[str, ...], names: tuple[str, ...]) -> str:
    digest = hashlib.sha256("\n".join(names).encode())
    for file in files:
        status = os.stat(file)  # noqa: PTH116 - a Path for each file takes longer than all the rest
        name = file.removeprefix(str(folder))
        digest.update(f"\n{name}\t{status.st_size}\t{status.st_mtime_ns}".encode())
    return digest.hexdigest()
