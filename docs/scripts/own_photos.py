"""Make a thousand photos in six class folders, a quarter of them in a wrong one, out of CIFAR-10.

    python docs/scripts/own_photos.py CIFAR PHOTOS

``CIFAR`` has ``train/CLASS`` and ``test/CLASS``. ``PHOTOS`` gets ``data`` (942 photos), ``clean``
(60) and ``test`` (2,400), with a folder for each class. A photo's name says its true class.
"""

from __future__ import annotations

import random
import shutil
import sys
from pathlib import Path

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog")
WRONG = 0.25


def copy(files: list[Path], names: list[str], folders: list[Path]) -> None:
    for file, name, folder in zip(files, names, folders, strict=True):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder / f"{name}{file.suffix}")


def main(cifar: Path, photos: Path) -> None:
    chance = random.Random(0)
    for true in CLASSES:
        files = sorted((cifar / "train" / true).iterdir())
        chance.shuffle(files)
        others = [name for name in CLASSES if name != true]
        labels = [chance.choice(others) if chance.random() < WRONG else true for _ in range(157)]
        names = [f"{true}-{i}" for i in range(200)]
        copy(files[:157], names[:157], [photos / "data" / label for label in labels])
        copy(files[200:210], names[:10], [photos / "clean" / true] * 10)
        tested = sorted((cifar / "test" / true).iterdir())[:400]
        copy(tested, [f"{true}-{i}" for i in range(400)], [photos / "test" / true] * 400)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
