"""The test samples of a run by true class and prediction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from metaloss.checks import InputError, require
from metaloss.experiments.records.run_records import RunRecords
from metaloss.files import read_text, write_atomically

NAME = "confusion.json"


class Confusion(NamedTuple):
    """The test samples of a run by true class and prediction, after its last epoch.

    Attributes:
        classes: the names of the classes.
        counts: the number of samples of each true class, a row each, that were predicted as each
            class, ``[classes, classes]``, int64.
    """

    classes: tuple[str, ...]
    counts: Int[Tensor, "classes classes"]


def write_confusion(
    records: RunRecords, counts: Int[Tensor, "classes classes"], classes: Sequence[str]
) -> None:
    """Write the counts and the names of the classes to ``confusion.json``."""
    found = {"classes": list(classes), "counts": counts.tolist()}
    text = json.dumps(found, separators=(",", ":"))
    write_atomically(records.path / NAME, (text + "\n").encode())


def read_confusion(records: RunRecords) -> Confusion | None:
    """Read the counts of a finished run.

    Args:
        records: the run's folder.

    Returns:
        The counts; ``None`` for a run of regression, and for one that did not record them.

    Raises:
        InputError: The file is damaged.

    Example:
        >>> from pathlib import Path
        >>> from metaloss.experiments import read_confusion
        >>> from metaloss.experiments.records.run_records import RunRecords
        >>> read_confusion(RunRecords(Path("nowhere"))) is None
        True
    """
    path = records.path / NAME
    if not path.is_file():
        return None
    try:
        found: Any = json.loads(read_text(path))
        classes, counts = tuple(map(str, found["classes"])), torch.tensor(found["counts"])
    except (ValueError, LookupError, TypeError, RuntimeError, OverflowError):
        raise InputError(f"{path}: expected classes and counts, got something else") from None
    require(
        counts.dtype == torch.int64
        and list(counts.shape) == [len(classes)] * 2
        and bool((counts >= 0).all()),
        f"{path}: expected a count for each pair of {len(classes)} classes, got others",
    )
    return Confusion(classes, counts)
