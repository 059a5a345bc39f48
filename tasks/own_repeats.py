"""Samples that occur more than once."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from .own_records import Records


class Repeats(NamedTuple):
    """What was found in the training samples.

    Attributes:
        records: the training samples that are in no other part.
        elsewhere: how many were in another part, too, and are left out.
        repeated: how many of the rest have the same content as another one.
        differing: how many of those have different labels, such as the two in ``example``.
        example: the names of two such samples; empty if there are none.
    """

    records: Records
    elsewhere: int
    repeated: int
    differing: int
    example: tuple[str, ...]


def without_repeats(train: Records, others: Iterable[Records]) -> Repeats:
    """Leave out training samples that the clean or the test samples have, too.

    Two image files are the same if all their bytes are.

    Args:
        train: the training samples.
        others: the samples of the other parts.
    """
    contents = _contents([train, *others])
    mine, theirs = contents[0], {content for part in contents[1:] for content in part}
    kept = [at for at, content in enumerate(mine) if content not in theirs]
    groups: dict[str, list[int]] = defaultdict(list)
    for at in kept:
        groups[mine[at]].append(at)
    same = [group for group in groups.values() if len(group) > 1]
    differing = [group for group in same if len({train.labels[at] for at in group}) > 1]
    example = _two_labels(train, differing[0]) if differing else ()
    return Repeats(
        records=train if len(kept) == len(train) or not kept else train.select(kept),
        elsewhere=len(train) - len(kept),
        repeated=sum(map(len, same)),
        differing=sum(map(len, differing)),
        example=example,
    )


def _two_labels(train: Records, group: list[int]) -> tuple[str, ...]:
    other = next(at for at in group if train.labels[at] != train.labels[group[0]])
    return train.ids[group[0]], train.ids[other]


def _contents(parts: list[Records]) -> list[list[str]]:
    """Return a digest of each sample, for files of a size of their own its name."""
    counts: dict[int, int] = defaultdict(int)
    sizes: dict[str, int] = {}
    for part in parts:
        if not isinstance(part.samples, Tensor):
            for file in part.samples:
                sizes[file] = Path(file).stat().st_size
    for size in sizes.values():
        counts[size] += 1
    return [
        [_digest(sample.numpy().tobytes()) for sample in part.samples]
        if isinstance(part.samples, Tensor)
        else [
            _digest(Path(file).read_bytes()) if counts[sizes[file]] > 1 else f"alone {file}"
            for file in part.samples
        ]
        for part in parts
    ]


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
