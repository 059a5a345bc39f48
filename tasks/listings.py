"""Lists of the image files in a folder for each class."""

from __future__ import annotations

import hashlib
import mimetypes
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from metaloss.checks import InputError, require

from .decoding import shown

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""The extensions of image files, as in torchvision."""

_NEWER = dict.fromkeys((".avif", ".heic", ".heif", ".jfif", ".jxl"), "image/")
"""Types that Python's list of types may not have."""

_BY_PROGRAMS = {"__pycache__", "__MACOSX", "@eaDir", "lost+found", "$RECYCLE.BIN"}


@dataclass(frozen=True)
class Listing:
    """The image files under ``folder/<class>/``, in torchvision's order.

    Two listings are equal if they have the same folder and the same files, unmodified.

    Attributes:
        folder: the resolved path of the folder.
        fingerprint: SHA-256 over each file's path in the folder, size and modification time.
        files: the paths of the files.
        targets: their labels, ``[files]``, int64.
        class_names: the names of the class folders, sorted.
    """

    folder: str
    fingerprint: str
    files: tuple[str, ...] = field(compare=False, repr=False)
    targets: Int[Tensor, " files"] = field(compare=False, repr=False)
    class_names: tuple[str, ...] = field(compare=False, repr=False)


def list_images(folder: Path, class_names: tuple[str, ...] | None = None) -> Listing:
    """List the images of ``folder/<class>/``, in the order of ``torchvision.datasets.ImageFolder``.

    Unlike there, hidden files and folders are skipped: names that begin with a dot, and folders
    that programs create, such as ``__pycache__``. A folder that links reach more than once within a
    class is read once.

    Args:
        folder: the folder of the class folders.
        class_names: the allowed names of class folders; some may be missing. If not given, every
            folder is a class and must hold an image.

    Raises:
        InputError: the folder is missing or holds no images, its classes are not as above, two
            classes are the same folder, or a link is broken.
    """
    require(
        folder.is_dir(),
        f"{folder}: expected a folder with a folder of images for each class, found no such folder",
    )
    found = tuple(sorted(e.name for e in folder.iterdir() if e.is_dir() and not _hidden(e.name)))
    require(
        len(found) > 0, f"{folder}: expected a folder of images for each class, found no folder"
    )
    names = found if class_names is None else class_names
    unknown = [shown(name) for name in found if name not in names]
    require(
        not unknown,
        f"{folder}: expected folders named as the training classes, got {', '.join(unknown)}",
    )
    _check_folders(folder, found)
    by_class = [tuple(images_below(folder / name)) if name in found else () for name in names]
    empty = [name for name, files in zip(names, by_class, strict=True) if not files]
    require(
        class_names is not None or not empty,
        f"{folder}: expected images of every class: found none of {', '.join(empty)}; their names "
        f"end in {', '.join(EXTENSIONS)}",
    )
    files = tuple(file for some in by_class for file in some)
    require(len(files) > 0, f"{folder}: expected images, found none")
    targets = torch.tensor([label for label, some in enumerate(by_class) for _ in some])
    return Listing(str(folder.resolve()), _fingerprint(folder, files, names), files, targets, names)


def list_parts(root: Path, parts: Mapping[str, str | None]) -> dict[str, Listing]:
    """List the images of the parts of a data set; all parts have the classes of the first.

    Args:
        root: the folder of the data set.
        parts: the folder of each part in ``root``; ``None`` for a part that does not exist.

    Raises:
        InputError: as :func:`list_images`; also if two parts are the same folder.
    """
    listings: dict[str, Listing] = {}
    names = None
    for part, folder in parts.items():
        if folder is not None:
            listings[part] = list_images(root / folder, names)
            names = listings[part].class_names
            same = [p for p, other in listings.items() if other.folder == listings[part].folder]
            require(
                same == [part],
                f"{root / folder}: expected a separate folder for each part, got it for "
                f"{' and for '.join(same)}",
            )
    return listings


def list_named(
    folder: Path,
    names: Sequence[str],
    targets: Int[Tensor, " names"],
    class_names: tuple[str, ...],
    source: str,
) -> Listing:
    """List the images that a published file names.

    Args:
        folder: the folder that the names begin in.
        names: the paths of the images in it.
        targets: their labels, ``[names]``, int64.
        class_names: a name for each class.
        source: what names them, for the message.

    Raises:
        InputError: nothing is named, or some of the images do not exist.
    """
    require(len(names) > 0, f"{source}: expected names of images, found none")
    files = tuple(f"{folder}/{name}" for name in names)
    try:
        place = _fingerprint(folder, files, class_names)
    except InputError:
        missing = [file for file in files if not os.path.isfile(file)]  # noqa: PTH113 - as below
        require(
            not missing,
            f"{folder}: expected the {len(files)} images that {source} names, {len(missing)} of "
            f"them are missing, such as {shown((missing or files)[0])}",
        )
        raise
    labels = hashlib.sha256(targets.numpy().tobytes()).hexdigest()
    return Listing(str(folder.resolve()), f"{place} {labels}", files, targets, class_names)


def images_in(folder: Path) -> list[str]:
    """Return the names of the image files of one folder, sorted; hidden ones are skipped.

    Args:
        folder: the folder; folders in it are not searched.

    Raises:
        InputError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
    except OSError as error:
        raise InputError(f"{folder}: cannot read this folder: {error.strerror}") from None
    return sorted(n for n in names if n.lower().endswith(EXTENSIONS) and not _hidden(n))


def images_below(folder: Path) -> Iterator[str]:
    """Yield the paths of all images below a folder, sorted by folder and then by name.

    Hidden files and folders are skipped, as by :func:`list_images`.

    Args:
        folder: the folder, whose own images come too.

    Raises:
        InputError: a folder cannot be read.
    """
    visited: set[tuple[int, int]] = set()
    found = []
    for place, folders, files in os.walk(folder, onerror=_unreadable, followlinks=True):
        status = os.stat(place)  # noqa: PTH116 - as below
        if (status.st_dev, status.st_ino) in visited:  # a link led here again
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not _hidden(name))
        found.append((place, sorted(name for name in files if not _hidden(name))))
    for place, files in sorted(found):
        for name in files:
            if name.lower().endswith(EXTENSIONS):
                yield os.path.join(place, name)  # noqa: PTH118 - a Path for each file is far slower


def other_images(folder: Path) -> list[str]:
    """Return the extensions of pictures below a folder that are of no type read here.

    Args:
        folder: the folder, whose hidden files and folders are skipped.

    Returns:
        An extension for each such file.
    """
    found = []
    for _, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _hidden(name)]
        for name in files:
            extension = os.path.splitext(name)[1].lower()  # noqa: PTH122 - as above
            kind = mimetypes.guess_type(name)[0] or _NEWER.get(extension, "")
            if kind.startswith("image/") and extension not in EXTENSIONS and not _hidden(name):
                found.append(extension)
    return found


def _check_folders(folder: Path, names: tuple[str, ...]) -> None:
    """Check that class names are UTF-8, as records need, and that classes are different folders."""
    real: dict[Path, str] = {}
    for name in names:
        require(
            shown(name) == name,
            f"{folder}: expected class names in UTF-8, got {shown(name)}",
        )
        place = (folder / name).resolve()
        require(
            place not in real,
            f"{folder}: expected a separate folder for each class, got one for {name} "
            f"and for {real.get(place)}",
        )
        real[place] = name


def _unreadable(error: OSError) -> None:
    raise InputError(f"{shown(error.filename)}: cannot read this folder: {error.strerror}")


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in _BY_PROGRAMS


def _fingerprint(folder: Path, files: tuple[str, ...], names: tuple[str, ...]) -> str:
    digest = hashlib.sha256("\n".join(names).encode())
    for file in files:
        try:
            status = os.stat(file)  # noqa: PTH116 - a Path for each file is slower than the rest
        except OSError as error:  # such as a broken link
            raise InputError(f"{shown(file)}: expected an image: {error.strerror}") from None
        name = file.removeprefix(str(folder))
        digest.update(os.fsencode(f"\n{name}\t{status.st_size}\t{status.st_mtime_ns}"))
    return digest.hexdigest()
