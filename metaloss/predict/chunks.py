"""Parts of the data, as they are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor


class Skipped(NamedTuple):
    """A sample that cannot be predicted.

    Attributes:
        id: the path of the file, or the position of the sample.
        reason: what is wrong with it, in one line.
    """

    id: str | int
    reason: str


class Chunk(NamedTuple):
    """Some samples, one after the other.

    Attributes:
        ids: the paths of the files, or the positions of the samples.
        samples: the samples, ``[samples, ...]``, not normalised yet; ``None`` if there are none.
        skipped: those between them that cannot be predicted.
    """

    ids: Sequence[str | int]
    samples: Tensor | None
    skipped: Sequence[Skipped] = ()
