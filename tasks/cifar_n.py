"""CIFAR-10N and CIFAR-100N: CIFAR with the labels that people gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from metaloss.checks import check_labels, check_one_of, require
from metaloss.files import user_path

from .datasets import cifar10, cifar100
from .image_set import ImageSet
from .label_files import read_labels
from .noisy_labels import NoisyLabels
from .sources import Source

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "aggre": "aggre_label",
        "worst": "worse_label",
        "rand1": "random_label1",
        "rand2": "random_label2",
        "rand3": "random_label3",
    }
)
"""The kinds of labels of CIFAR-10N, and their names in the published file."""

PAGE = "https://github.com/UCSC-REAL/cifar-10-100n"


def cifar10n(
    root: str | Path, labels: str | Path, *, kind: str = "worst", download: bool = False
) -> Source[ImageSet]:
    """CIFAR-10N: CIFAR-10, each training image labelled by three people.

    The labels are taken as they were given, and no noise is made. The source keeps CIFAR-10's own
    labels, which are right, and has the given ones as its ``noisy`` labels: a task trains on these,
    and takes its meta samples with the right ones. A sample's ``flipped`` is therefore known. The
    transition matrix is the observed one.

    Args:
        root: the folder that torchvision downloads CIFAR-10 to, as for :func:`cifar10`.
        labels: the published file ``CIFAR-10_human.pt``, or the folder that holds it. The published
            ``.npy`` files are not read: they are pickles, and ``CIFAR-10_human_ordered.npy`` is in
            the order of TensorFlow's data sets.
        kind: "rand1", "rand2" or "rand3" for the first, second or third label (about 17 to 18%
            wrong), "aggre" for that of the majority (9%), "worst" for a wrong one if there is any
            (40%).
        download: whether to download the images if they are missing.

    Raises:
        InputError: a file is missing or damaged, the file of labels holds anything but labels, or
            its ``clean_label`` differs from CIFAR-10's labels.

    Example:
        >>> from metaloss.tasks import cifar10n
        >>> source = cifar10n("data", "data/CIFAR-10_human.pt", kind="aggre")  # doctest: +SKIP

    References:
        Wei et al., Learning with noisy labels revisited: a study using real-world human
        annotations, 2022.
    """
    check_one_of("kind", kind, KINDS)
    source = cifar10(root, download)
    return _relabelled(source, labels, "CIFAR-10", KINDS[kind], f"cifar10n, {kind}")


def cifar100n(root: str | Path, labels: str | Path, *, download: bool = False) -> Source[ImageSet]:
    """CIFAR-100N: CIFAR-100, each training image labelled by one person.

    As :func:`cifar10n`; about 40% of the labels are wrong.

    Args:
        root: the folder that torchvision downloads CIFAR-100 to, as for :func:`cifar100`.
        labels: the published file ``CIFAR-100_human.pt``, or the folder that holds it.
        download: whether to download the images if they are missing.

    Raises:
        InputError: as :func:`cifar10n`.

    Example:
        >>> from metaloss.tasks import cifar100n
        >>> source = cifar100n("data", "data/CIFAR-100_human.pt")  # doctest: +SKIP

    References:
        Wei et al., Learning with noisy labels revisited: a study using real-world human
        annotations, 2022.
    """
    source = cifar100(root, download)
    return _relabelled(source, labels, "CIFAR-100", "noisy_label", "cifar100n")


def _relabelled(
    source: Source[ImageSet], labels: str | Path, title: str, column: str, name: str
) -> Source[ImageSet]:
    path = user_path(labels)
    path = path / f"{title}_human.pt" if path.is_dir() else path
    require(
        path.is_file(),
        f"{path}: expected the labels of {title}N, found no such file; download {title}_human.pt "
        f"from the folder data of {PAGE}",
    )
    require(
        path.suffix != ".npy",
        f"{path}: expected {title}_human.pt, got a .npy file, which may be in another order; "
        f"download {title}_human.pt from the folder data of {PAGE}",
    )
    found = read_labels(path, f"the labels of {title}N", ("clean_label", column))
    right, given, own = found["clean_label"], found[column], source.train.targets
    differ = int((right != own).sum()) if right.shape == own.shape else max(len(right), len(own))
    require(
        differ == 0,
        f"{path}: expected clean_label to be the {len(own)} labels of {title}, got {len(right)} "
        f"labels, and others at {differ} of them",
    )
    require(
        given.shape == own.shape,
        f"{path}: expected {len(own)} labels in {column}, got {len(given)}",
    )
    classes = len(source.train.class_names)
    check_labels(f"{path}: {column}", given, classes)
    return replace(
        source,
        train=replace(source.train, name=name),
        noisy=NoisyLabels.of_labels(given, own, classes),
    )
