"""Names of methods and tasks, and the folders that are named after them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from metaloss.checks import require
from metaloss.experiments.records.folder_lock import HOLDER, LOCK

RESERVED = {
    "config.gin",
    "operative.gin",
    "results.csv",
    "results.json",
    "results.md",
    "results.png",
    "results.svg",
    "results.tex",
    "meta_training.json",
    "labels.csv",
    "labels.json",
    "labels.png",
    LOCK,
    HOLDER,
    "hyperparameters.png",
    "hyperparameters.svg",
    "report.html",
    "comparison.html",
    "folds",
    "held-out",
    "tensorboard",
}
"""The files and folders of a run that no method or task may be named after."""


def check_names(what: str, names: Iterable[str]) -> None:
    """Raise an error unless each name makes a valid folder name that no other name makes.

    Raises:
        InputError: There is no name, two names make the same folder, or a name makes no folder or
            one that is reserved.

    Example:
        >>> from metaloss.experiments.records.names import check_names
        >>> check_names("methods", ["GCE", ".."])
        Traceback (most recent call last):
            ...
        metaloss.checks.InputError: methods: expected names with a letter or a digit, got '..'
    """
    by_folder: dict[str, str] = {}
    for name in names:
        folder = slug(name).casefold()  # some file systems do not tell cases apart
        require(
            any(letter.isalnum() for letter in folder),
            f"{what}: expected names with a letter or a digit, got {name!r}",
        )
        length = len(slug(name).encode())
        require(
            length <= 200,  # file systems allow 255, and files are written beside their place first
            f"{what}: expected names that take at most 200 bytes, got {length} in {name[:20]!r}...",
        )
        require(
            folder not in RESERVED,
            f"{what}: expected names other than the run's own files, got {name!r}",
        )
        require(
            folder not in by_folder,
            f"{what}: expected different names, got {name} more than once"
            if by_folder.get(folder) == name
            else f"{what}: expected names of different folders, got {by_folder.get(folder)!r} and "
            f"{name!r}",
        )
        by_folder[folder] = name
    require(len(by_folder) > 0, f"{what}: expected one or more, got none")


def slug(name: str) -> str:
    """Return the folder name for a method: its letters, digits and points, joined by hyphens.

    Letters of any script are kept. Accents are composed (NFC), since some file systems do not
    distinguish the two ways to write them.

    Example:
        >>> from metaloss.experiments.records.names import slug
        >>> slug("A-GCE (margin, average)"), slug("調整 GCE")
        ('A-GCE-margin-average', '調整-GCE')
    """
    kept = (
        letter if letter == "." or unicodedata.category(letter)[0] in "LMN" else "-"
        for letter in unicodedata.normalize("NFC", name)
    )
    return re.sub("-+", "-", "".join(kept)).strip("-")
