"""ANIMAL-10N."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from .class_names import ANIMAL10N_CLASSES
from .image_set import ImageSet
from .listed_sources import images_of
from .listings import Listing, images_in, list_named
from .published import Publication, check_count, refuse_others
from .sources import Source

PUBLICATION = Publication(
    title="ANIMAL-10N",
    folders=("raw_image", "raw_image_ver/raw_image"),
    holds=("training", "testing"),
    archive="the raw images (raw_image_ver.zip, which holds raw_image.zip)",
    page="https://dm.kaist.ac.kr/datasets/animal-10n/",
)
COUNTS = {"training": 50_000, "testing": 5_000}
"""The published numbers of images."""


def animal10n(
    root: str | Path,
    *,
    complete: bool = True,
    cache: str | Path | None = None,
    threads: int | None = None,
) -> Source[ImageSet]:
    """ANIMAL-10N: 50,000 and 5,000 colour 64x64 images of five pairs of animals.

    The two animals of a pair look alike. The training labels are those that people gave in a short
    time; about 8% of them are wrong, and nobody knows which. The test labels were checked.

    The images are decoded into memory: all of them are 0.7 GB of uint8.

    Args:
        root: the folder that holds ``training`` and ``testing``, with files named
            ``{label}_{id}.jpg``. This is the published version with raw images; the binary version
            is not read.
        complete: whether to refuse another number of images than the published one.
        cache: a file for the decoded images, as for :func:`image_folder`.
        threads: number of threads that decode; by default, the number of processors.

    Returns:
        The source. Its class names are those of the published page, in the order of the labels.

    Raises:
        InputError: a folder is missing, a file is damaged, or has another name.

    Example:
        >>> from metaloss.tasks import animal10n
        >>> source = animal10n("data/animal-10n")  # doctest: +SKIP

    References:
        Section 4.4 of the paper; Song et al., SELFIE: refurbishing unclean samples for robust deep
        learning, 2019.
    """
    folder = PUBLICATION.find(root)
    listings = {
        part: _images(folder / name, complete)
        for part, name in (("train", "training"), ("test", "testing"))
    }
    return images_of(listings, name="animal10n", cache=cache, threads=threads)


def _images(folder: Path, complete: bool) -> Listing:
    files = images_in(folder)
    labels = [re.fullmatch(r"(\d)_.+\.jpe?g", file, re.IGNORECASE) for file in files]
    refuse_others(
        folder,
        "images named LABEL_ID.jpg with labels in 0..9",
        [file for file, label in zip(files, labels, strict=True) if label is None],
    )
    if complete:
        check_count(folder, "images", len(files), COUNTS[folder.name])
    targets = torch.tensor([int(label[1]) for label in labels if label])
    return list_named(folder, files, targets, ANIMAL10N_CLASSES, "the folder")
