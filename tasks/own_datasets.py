"""Samples of one's own that the library ``datasets`` of Hugging Face saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from metaloss.checks import InputError, require
from metaloss.user_errors import as_input_error

from .own_arrays import as_records
from .own_records import Records

_MARKS = ("dataset_info.json", "dataset_dict.json")


def is_saved_dataset(folder: Path) -> bool:
    """Return whether ``datasets`` saved a data set to this folder."""
    return any((folder / name).is_file() for name in _MARKS)


def read_dataset(folder: Path, label: str = "label") -> dict[str, Records]:
    """Read a data set that ``save_to_disk`` wrote, by the optional library ``datasets``.

    Images are taken as they are, all of one size; all other columns must be numbers.

    Args:
        folder: the folder of a ``Dataset``, or of a ``DatasetDict`` with a split ``train`` and
            perhaps ``test`` (or ``validation``).
        label: the name of the column of labels.

    Returns:
        The samples of "train" and, if there are any, of "test".

    Raises:
        InputError: the library is not installed, or the columns are not as above.
    """
    try:
        import datasets
    except ImportError:
        raise InputError(
            f"{folder}: expected the library datasets to read this folder; it is not installed: "
            'pip install "metaloss[datasets]"'
        ) from None
    with as_input_error(f"{folder}: expected a saved data set, cannot read it"):
        found = datasets.load_from_disk(str(folder))
    if not isinstance(found, datasets.DatasetDict):
        return {"train": _records(found, label, str(folder), "")}
    require(
        "train" in found,
        f"{folder}: expected a split named train, got {', '.join(found)}",
    )
    test = next((name for name in ("test", "validation") if name in found), None)
    parts = {"train": _records(found["train"], label, f"{folder} (train)", "")}
    if test is not None:
        parts["test"] = _records(found[test], label, f"{folder} ({test})", f"{test} ")
    return parts


def _records(data: Any, label: str, source: str, part: str) -> Records:
    require(
        label in data.features,
        f"{source}: expected a column {label!r}, got {', '.join(data.features)}",
    )
    kind, labels = data.features[label], data[label]
    names = getattr(kind, "names", None)
    words = [_word(label, names) for label in labels]
    images = [n for n, feature in data.features.items() if type(feature).__name__ == "Image"]
    if images:
        inputs = _pixels(data[images[0]], source)
    else:
        inputs = _columns(data, [name for name in data.features if name != label], source)
    return as_records(inputs, np.array(words), source=source, part=part)


def _word(label: Any, names: list[str] | None) -> str:
    """Return a label as a word, a missing one as an empty word; ``datasets`` has -1 for none."""
    if label is None or (names is not None and not 0 <= label < len(names)):
        return ""
    return str(label) if names is None else names[label]


def _pixels(images: Any, source: str) -> Any:
    images = list(images)
    sizes = {image.size for image in images}
    require(
        len(sizes) == 1,
        f"{source}: expected images of one size, got {len(sizes)} sizes; save them as files in "
        "class folders, and they are scaled",
    )
    grey = all(image.mode in {"L", "1"} for image in images)
    return np.stack([np.asarray(image.convert("L" if grey else "RGB")) for image in images])


def _columns(data: Any, names: list[str], source: str) -> Any:
    columns = []
    for name in names:
        values = np.asarray(data[name])
        require(
            values.dtype.kind in "biuf",
            f"{source}: expected numbers or an image, got another kind in the column {name!r}",
        )
        columns.append(values.reshape(len(values), -1))
    require(len(columns) > 0, f"{source}: expected a column of images or numbers, got none")
    return np.concatenate(columns, axis=1).astype(np.float32)
