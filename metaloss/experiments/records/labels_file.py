"""The file in which ``metaloss labels`` leaves the most doubtful labels for the page."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

NAME = "labels.json"
"""The file's name, beside ``labels.csv``."""

MOST = 24
"""The number of samples that the page shows."""

_PICTURE = re.compile(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/]+=*")


class Doubtful(NamedTuple):
    """A training sample whose label is doubtful.

    Attributes:
        name: its file, or its position in the training set.
        given: the name of the given label.
        suggested: the name of the suggested label.
        score: how far the label can be trusted, in [0, 1].
        picture: a small picture of it as a data URI; empty if it is no image.
    """

    name: str
    given: str
    suggested: str
    score: float
    picture: str = ""


class DoubtfulLabels(NamedTuple):
    """The most doubtful labels of a run, and how many are wrong.

    Attributes:
        samples: the samples, the most doubtful first, :data:`MOST` at most.
        about: which run judged them and by which score, in words.
        rate: the estimated share of wrong labels, in [0, 1].
        rates: the same among the samples with each label, by the names of classes.
        transition: the estimated probability of each label, a row for each true class.
    """

    samples: Sequence[Doubtful]
    about: str = ""
    rate: float | None = None
    rates: Mapping[str, float | None] = {}
    transition: Sequence[Sequence[float | None]] = ()


def to_json(labels: DoubtfulLabels) -> bytes:
    """Return the content of the file.

    Args:
        labels: what it is to hold.
    """
    samples = [sample._asdict() for sample in labels.samples]
    return (json.dumps({**labels._asdict(), "samples": samples}, indent=1) + "\n").encode()


def read_labels(folder: Path) -> DoubtfulLabels | None:
    """Read the most doubtful labels of a run.

    Args:
        folder: the folder of an experiment.

    Returns:
        The labels; ``None`` if there is no such file, or it is damaged.

    Example:
        >>> from pathlib import Path
        >>> from metaloss.experiments.records.labels_file import read_labels
        >>> read_labels(Path("nowhere")) is None
        True
    """
    with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
        found = json.loads((folder / NAME).read_text(encoding="utf-8"))
        samples = [_sample(each) for each in found["samples"][:MOST]]
        rate = found.get("rate")  # files of older versions have none
        rates = {str(k): None if v is None else float(v) for k, v in found.get("rates", {}).items()}
        about = str(found["about"])
        return DoubtfulLabels(samples, about, None if rate is None else float(rate), rates)
    return None


def _sample(found: dict[str, Any]) -> Doubtful:
    picture = str(found["picture"])
    return Doubtful(
        name=str(found["name"]),
        given=str(found["given"]),
        suggested=str(found["suggested"]),
        score=float(found["score"]),
        # The page must never fetch anything, whatever somebody has written to the file.
        picture=picture if _PICTURE.fullmatch(picture) else "",
    )
