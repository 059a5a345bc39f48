"""Make photos of CIFAR-10 in the class folders that people put them in (CIFAR-10N).

    python docs/scripts/human_photos.py CIFAR LABELS PHOTOS [EACH]

``CIFAR`` has ``train/CLASS`` and ``test/CLASS``, whose images are in the order of CIFAR-10.
``LABELS`` is the file ``CIFAR-10_human.pt``. ``PHOTOS`` gets ``data``, ``EACH`` images of each
class (200), each in the folder of the first of the labels that people gave it, and ``test``, 200 of
each class, with right labels. A name says the true class.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from metaloss.tasks.label_files import read_labels

CLASSES = ["airplane", "automobile", "bird", "cat", "deer"]
CLASSES += ["dog", "frog", "horse", "ship", "truck"]
TESTED = 200


def main(cifar: Path, labels: Path, photos: Path, each: int = TESTED) -> None:
    found = read_labels(labels, "the labels of CIFAR-10N", ("clean_label", "random_label1"))
    for number, true in enumerate(CLASSES):
        own = found["random_label1"][found["clean_label"] == number][:each].tolist()
        folders = {"data": [CLASSES[label] for label in own], "test": [true] * TESTED}
        for part, source in (("data", "train"), ("test", "test")):
            files = sorted((cifar / source / true).iterdir())
            for i, (file, folder) in enumerate(zip(files, folders[part], strict=False)):
                place = photos / part / folder
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, place / f"{true}-{i}{file.suffix}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), *map(int, sys.argv[4:]))
