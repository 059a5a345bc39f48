"""Food-101N, tested on Food-101."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from metaloss.checks import require

from .file_transforms import PILTransform
from .folder_set import TIMEOUT, FolderSet
from .listed_sources import files_of
from .listings import Listing, list_named
from .published import Publication, read_lines, refuse_others
from .sources import Source

PUBLICATION = Publication(
    title="Food-101N",
    folders=("Food-101N_release",),
    holds=("meta/classes.txt", "meta/imagelist.tsv", "images"),
    archive="Food-101N_release.zip",
    page="https://kuanghuei.github.io/Food-101N/",
)
FOOD_101 = Publication(
    title="Food-101, whose test images Food-101N is tested on",
    folders=("food-101",),
    holds=("meta/test.txt", "images"),
    archive="food-101.tar.gz",
    page="https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/",
)
VERIFIED = ("verified_train", "verified_val")
HEADER = "class_name"
"""The beginning of the first line of Food-101N's lists, which is no entry."""


def food101n(
    root: str | Path,
    food101: str | Path,
    *,
    size: int = 224,
    clean: str | None = None,
    train_transform: PILTransform | None = None,
    eval_transform: PILTransform | None = None,
    workers: int = 0,
    timeout: float = TIMEOUT,
) -> Source[FolderSet]:
    """Food-101N: 310,009 photographs of 101 dishes from the web, with noisy labels.

    The test images are the 25,250 of Food-101, whose labels were checked. About 20% of the training
    labels are wrong. 52,868 and 4,741 of the training images were verified: somebody said whether
    the label is right, not what the right one is.

    Images are of any size and are read when they are needed.

    Args:
        root: the folder that holds ``Food-101N_release``, or that folder, with
            ``meta/classes.txt``, ``meta/imagelist.tsv``, ``meta/verified_train.tsv``,
            ``meta/verified_val.tsv`` and ``images/CLASS/*.jpg``.
        food101: the folder that holds ``food-101``, or that folder, with ``meta/test.txt`` and
            ``images/CLASS/*.jpg``.
        size: the height and width that the transforms return.
        clean: "verified_train" or "verified_val" for the images that are verified to have the right
            label, which are then taken out of the training images; ``None`` for no clean images,
            and to train on all. Verified images that ``imagelist.tsv`` does not name are left out.
        train_transform: as for :func:`image_files`.
        eval_transform: likewise.
        workers: number of processes that read images; 0 to read them in this process.
        timeout: as for :func:`image_files`.

    Returns:
        The source. Classes are in the order of Food-101N's ``classes.txt``. An image that a list
        names twice counts once.

    Raises:
        InputError: a file is missing, a list has lines of another form, or the classes differ.

    Example:
        >>> from metaloss.tasks import food101n
        >>> source = food101n("data", "data", clean="verified_train")  # doctest: +SKIP

    References:
        Section 4.4 of the paper; Lee et al., CleanNet: transfer learning for scalable image
        classifier training with label noise, 2018; Bossard et al., Food-101: mining discriminative
        components with random forests, 2014.
    """
    require(
        clean is None or clean in VERIFIED,
        f"clean: expected None or one of {', '.join(VERIFIED)}, got {clean!r}",
    )
    folder, tested = PUBLICATION.find(root), FOOD_101.find(food101)
    names = tuple(read_lines(folder / "meta" / "classes.txt", HEADER))
    labels = {name: label for label, name in enumerate(names)}
    keys = dict.fromkeys(read_lines(folder / "meta" / "imagelist.tsv", HEADER))
    right = _verified(folder / "meta" / f"{clean}.tsv") if clean else {}
    parts = {
        "train": _listed(folder, "imagelist.tsv", [k for k in keys if k not in right], labels),
        "test": _listed(
            tested,
            "test.txt",
            [f"{key}.jpg" for key in dict.fromkeys(read_lines(tested / "meta" / "test.txt"))],
            labels,
        ),
    }
    if clean:
        parts["clean"] = _listed(folder, f"{clean}.tsv", [k for k in right if k in keys], labels)
    return files_of(
        parts,
        name="food101n",
        size=size,
        train_transform=train_transform,
        eval_transform=eval_transform,
        workers=workers,
        timeout=timeout,
    )


def _verified(path: Path) -> dict[str, None]:
    """Return the images that are verified to have the right label."""
    lines = read_lines(path, HEADER)
    entries = [line.rsplit("\t", 1) for line in lines]
    refuse_others(
        path,
        "an image and 0 or 1 in each line",
        [
            line
            for line, entry in zip(lines, entries, strict=True)
            if len(entry) != 2 or entry[1] not in {"0", "1"}
        ],
    )
    return {key: None for key, verdict in entries if verdict == "1"}


def _listed(folder: Path, file: str, keys: list[str], labels: Mapping[str, int]) -> Listing:
    """Return the images that a list names as ``CLASS/NAME.jpg``."""
    found = [labels.get(key.partition("/")[0]) for key in keys]
    refuse_others(
        folder / "meta" / file,
        f"images of the {len(labels)} classes of Food-101N's classes.txt",
        [key for key, label in zip(keys, found, strict=True) if label is None],
    )
    return list_named(folder / "images", keys, torch.tensor(found), tuple(labels), file)
