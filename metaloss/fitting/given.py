"""Arrays and data sets in Python, written to files that a run can be made of again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from metaloss.checks import InputError, require
from metaloss.fitting.fit_data import Places
from metaloss.tasks.own_arrays import as_array

Samples: TypeAlias = tuple[Any, Any]
"""Inputs and their labels."""

_MISSING = ("None", "nan", "NaT", "<NA>")  # how values that stand for none are printed


def as_arrays(data: Any, labels: Any, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return inputs and labels as arrays.

    Args:
        data: an array, ``[samples, ...]``; or a data set, whose items are pairs of an input and a
            label, or inputs alone if there are ``labels``. It is read once, into memory.
        labels: the labels, ``[samples]``; ``None`` if the items have them.
        name: what the samples are called in messages.

    Raises:
        InputError: there are no labels, inputs differ in shape, or the numbers differ.
    """
    if _has_items(data):
        items = [data[at] for at in range(len(data))]
        require(len(items) > 0, f"{name}: expected samples, got none")
        if labels is None:
            require(
                all(isinstance(item, tuple | list) and len(item) >= 2 for item in items),
                f"{name}: expected pairs of an input and a label, or labels beside the inputs",
            )
            labels = [item[1] for item in items]
            items = [item[0] for item in items]
        data = _stacked(_inputs_of(data, items), name)
    require(
        labels is not None,
        f"{name}: expected labels beside an array, got none: fit(inputs, labels)",
    )
    inputs, words = _numbers(data, name), _labels(labels, name)
    require(
        inputs.ndim >= 1 and len(inputs) == len(words),
        f"{name}: expected a label for each input, got {len(words)} labels and "
        f"{len(inputs) if inputs.ndim else 0} inputs",
    )
    return inputs, words


def as_inputs(data: Any) -> NDArray[Any]:
    """Return inputs without labels as an array, ``[samples, ...]``.

    Args:
        data: an array, a list or a data frame of inputs; or a data set, as for :func:`as_arrays`,
            whose labels are left out.

    Raises:
        InputError: inputs differ in shape, or are no numbers.
    """
    if _has_items(data):
        items = [data[at] for at in range(len(data))]
        require(len(items) > 0, "data: expected samples, got none")
        data = _stacked(_inputs_of(data, items), "data")
    return _numbers(data, "data")


def write_places(
    data: tuple[NDArray[Any], NDArray[Any]],
    clean: Any,
    test: Any,
    folder: Path,
) -> Places:
    """Write samples to files.

    Args:
        data: inputs and labels.
        clean: further inputs and labels; or which of ``data`` have right labels, as positions or as
            a mask ``[samples]``; ``None`` if there are none.
        test: inputs and labels.
        folder: the folder to write to.

    Returns:
        Where they are.

    Raises:
        InputError: positions are out of range, or as for :func:`as_arrays`.
    """
    own = _write(folder / "data.npz", *data)
    checked: Path | None = None
    if isinstance(clean, tuple):
        checked = _write(folder / "clean.npz", *as_arrays(*_pair(clean, "clean"), "clean"))
    elif clean is not None:
        checked = folder / "clean.txt"
        checked.write_text("".join(f"{at}\n" for at in _positions(clean, len(data[1]))))
    tested = None
    if test is not None:
        tested = _write(folder / "test.npz", *as_arrays(*_pair(test, "test"), "test"))
    return Places(data=own, clean=checked, test=tested)


def _has_items(data: Any) -> bool:
    """Return whether samples are read one by one: arrays, tensors and data frames are not."""
    array = hasattr(data, "__array__") or hasattr(data, "toarray")  # a sparse one of scipy
    return not array and hasattr(data, "__getitem__")


def _inputs_of(data: Any, items: list[Any]) -> list[Any]:
    """Return the inputs of a data set of pairs, too, when its labels are not asked for."""
    pairs = isinstance(data, Dataset) and all(isinstance(item, tuple | list) for item in items)
    return [item[0] for item in items] if pairs else items


def _stacked(items: list[Any], name: str) -> NDArray[Any]:
    inputs = [_numbers(item, name) for item in items]
    shapes = {each.shape for each in inputs}
    require(
        len(shapes) == 1,
        f"{name}: expected inputs of one shape, got {len(shapes)} shapes, such as "
        f"{' and '.join(str(list(shape)) for shape in sorted(shapes)[:2])}",
    )
    return np.stack(inputs)


def _numbers(values: Any, name: str) -> NDArray[Any]:
    require(
        not hasattr(values, "toarray"),
        f"{name}: expected a dense array, got a {type(values).__name__}; .toarray() makes it one",
    )
    try:
        found = as_array(values)
    except ValueError as error:  # a list of lists of different lengths
        raise InputError(f"{name}: expected inputs of one shape in numbers: {error}") from None
    require(
        found.dtype.kind in "biuf", f"{name}: expected inputs in numbers, got {found.dtype} values"
    )
    return found


def _labels(values: Any, name: str) -> NDArray[Any]:
    found = as_array(values)
    if found.dtype == object:
        missing = sum(not isinstance(label, str) and str(label) in _MISSING for label in found.flat)
        require(not missing, f"{name}: expected a label for each input, {missing} are missing")
        found = np.array(found.tolist())  # whole numbers stay such
    require(
        found.ndim == 1 and (found.dtype.kind in "iubUS" or not len(found)),
        f"{name}: expected labels [samples], words or whole numbers, got {found.dtype} "
        f"{list(found.shape)}",
    )
    return found


def _write(path: Path, inputs: NDArray[Any], labels: NDArray[Any]) -> Path:
    np.savez(path, x=inputs, y=labels)
    return path


def _pair(samples: Any, name: str) -> Samples:
    require(
        isinstance(samples, tuple) and len(samples) == 2,
        f"{name}: expected a pair of inputs and labels, got {type(samples).__name__}",
    )
    return samples


def _positions(clean: Any, samples: int) -> list[int]:
    try:
        chosen = as_array(clean)
    except ValueError:
        raise InputError(
            "clean: expected positions or a mask of the samples, or a pair in round brackets, "
            f"(inputs, labels), got a {type(clean).__name__} of other things"
        ) from None
    if chosen.dtype == bool:
        require(
            chosen.shape == (samples,),
            f"clean: expected a mask of {samples} samples, got {list(chosen.shape)}",
        )
        return np.flatnonzero(chosen).tolist()
    require(
        chosen.ndim == 1 and chosen.dtype.kind in "iu" and len(chosen) > 0,
        f"clean: expected positions or a mask of the samples, got {chosen.dtype} "
        f"{list(chosen.shape)}",
    )
    require(
        int(chosen.min()) >= 0 and int(chosen.max()) < samples,
        f"clean: expected positions from 0 to {samples - 1}, got {int(chosen.min())}.."
        f"{int(chosen.max())}",
    )
    return chosen.tolist()
