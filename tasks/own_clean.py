"""Which samples of one's own have labels that somebody checked."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from metaloss.checked_labels import CHECKED, checked_labels
from metaloss.checks import require
from metaloss.files import read_text, user_path

from .csv_files import read_csv
from .decoding import shown
from .own_reading import read_records
from .own_records import Records, repeated
from .own_tables import ID, PATH


class Divided(NamedTuple):
    """Samples with unchecked labels, and samples with checked ones.

    Attributes:
        train: the samples whose labels nobody checked.
        clean: the samples whose labels somebody checked.
        named: whether those were named among the data; if not, they are further samples.
    """

    train: Records
    clean: Records
    named: bool


def with_clean(data: Records, clean: str | Path, label: str = "label") -> Divided:
    """Divide samples by a list of those with checked labels.

    Args:
        data: all samples.
        clean: a text file with the name of a sample on each line, whose labels in ``data`` are
            right; a CSV file with a column ``path`` or ``id`` and one of labels, whose labels
            replace those of ``data``; a ``labels.csv`` of ``metaloss fit``, in whose column
            ``checked_label`` somebody has written the right labels of some samples; or a place of
            further samples, as ``data`` has.
        label: the name of the column of labels.

    Returns:
        The samples, divided. No sample is in both.

    Raises:
        InputError: the place cannot be read, names samples that there are not, has labels that
            ``data`` has not, or leaves no sample to train on.
    """
    place = user_path(clean)
    require(
        place.exists(),
        f"{place}: expected samples with checked labels (clean): a text file of their names, a CSV "
        "file, or a folder or an .npz file of further ones; found nothing there",
    )
    if place.suffix.lower() == ".txt":
        names = [line.strip() for line in read_text(place).splitlines() if line.strip()]
        return _named(data, names, None, str(place))
    if place.suffix.lower() in {".csv", ".tsv"}:
        looked_at = checked_labels(place)
        if looked_at is not None:
            require(
                len(looked_at) > 0,
                f"{place}: expected the right labels of some samples in the column {CHECKED!r}, "
                "got none",
            )
            return _named(data, list(looked_at), list(looked_at.values()), str(place))
        table = read_csv(place)
        name = PATH if PATH in table.header else ID
        columns = set(table.header) - {label, name}
        # A table of features has its own samples; a list of names has those of the data.
        if name in table.header and not (columns & set(data.columns)):
            labels = table.column(label)
            names = table.column(name)
            known = _positions(data, names)
            if name == ID or all(at is not None for at in known):
                return _named(data, names, labels, str(place))
    further = read_records(place, label)["train"]
    check_same_kind(data, further)
    check_labels_known(data, further)
    return Divided(data, further, named=False)


def check_labels_known(data: Records, other: Records) -> None:
    """Raise :class:`InputError` if samples have labels that the training samples have not."""
    unknown = sorted(set(other.labels) - set(data.labels))
    require(
        "" not in unknown,
        f"{other.source}: expected a label for each sample, {other.labels.count('')} of "
        f"{len(other)} have none",
    )
    require(
        not unknown,
        f"{other.source}: expected labels of {data.source} ({_some(sorted(set(data.labels)))}), "
        f"got others: {_some(unknown)}",
    )


def _named(data: Records, names: list[str], labels: list[str] | None, place: str) -> Divided:
    require(len(names) > 0, f"{place}: expected names of samples, found none")
    twice = repeated(names)
    require(
        not twice,
        f"{place}: expected each name once, {len(twice)} occur twice or more, such as "
        f"{shown((twice or [''])[0])}",
    )
    found = _positions(data, names)
    missing = [name for name, at in zip(names, found, strict=True) if at is None]
    require(
        not missing,
        f"{place}: expected names of samples of {data.source}, such as {shown(data.ids[0])}; "
        f"{len(missing)} of {len(names)} are none, such as {shown((missing or [''])[0])}",
    )
    chosen = [at for at in found if at is not None]
    clean = data.select(chosen)
    if labels is not None:
        clean = replace(clean, labels=tuple(labels), source=place)
        check_labels_known(data, clean)
    left = sorted(set(range(len(data))) - set(chosen))
    require(
        len(left) > 0,
        f"{place}: expected some of the samples of {data.source}, got all {len(data)} of them; "
        "with checked labels alone there is no noise to be robust to",
    )
    return Divided(data.select(left), clean, named=True)


def _positions(data: Records, names: list[str]) -> list[int | None]:
    """Return where samples are: by their full names, or by the ends of their paths."""
    places: dict[str, int | None] = {name: at for at, name in enumerate(data.ids)}
    if data.are_files:
        ends: dict[str, int | None] = {}
        for at, name in enumerate(data.ids):
            parts = Path(name).parts
            for start in range(1, len(parts)):
                end = "/".join(parts[start:])
                ends[end] = at if end not in ends else None  # two files: not a name of either
        places = ends | places
        found = [places.get(Path(name).as_posix()) for name in names]
        if all(at is not None for at in found):
            return found
        # A run writes absolute paths, and the data may have been given by relative ones.
        real = {os.path.realpath(name): at for at, name in enumerate(data.ids)}
        return [
            real.get(os.path.realpath(name)) if at is None and Path(name).is_absolute() else at
            for name, at in zip(names, found, strict=True)
        ]
    return [places.get(name) for name in names]


def check_same_kind(data: Records, other: Records) -> None:
    """Raise :class:`InputError` unless two sets are both image files, tables or arrays."""
    require(
        data.are_files == other.are_files and data.columns == other.columns,
        f"{other.source}: expected samples like those of {data.source} ({_kind(data)}), got "
        f"{_kind(other)}",
    )


def _kind(data: Records) -> str:
    if data.are_files:
        return "image files"
    return f"the columns {_some(list(data.columns))}" if data.columns else "arrays"


def _some(names: list[str], most: int = 6) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
