"""Samples of one's own from an .npz file of NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metaloss.checks import require
from metaloss.user_errors import as_input_error

from .own_records import Records

INPUTS, LABELS = ("inputs", "x", "images", "features"), ("labels", "y", "targets")
_PARTS = {"train": ("", "_train", "train_"), "test": ("_test", "test_")}
_CHANNELS = (1, 3)


def read_arrays(path: Path) -> dict[str, Records]:
    """Read an ``.npz`` file.

    It holds inputs (``x``, ``inputs``, ``images`` or ``features``) and labels (``y``, ``labels`` or
    ``targets``), perhaps names (``ids``), and perhaps the same for a test set (``x_test``,
    ``y_test``); ``x_train`` and ``y_train`` are the same as ``x`` and ``y``. Upper case is read,
    too.

    Args:
        path: the file. Arrays of Python objects are not read.

    Returns:
        The samples of "train" and, if there are any, of "test".

    Raises:
        InputError: the file cannot be read, an array is missing, or it has the wrong shape.
    """
    require(path.is_file(), f"{path}: expected an .npz file, found no such file")
    # NumPy does not close a damaged file that it has opened itself.
    with (
        as_input_error(f"{path}: expected an .npz file of arrays, cannot read it"),
        path.open("rb") as file,
        np.load(file, allow_pickle=False) as content,
    ):
        arrays = {name.lower(): content[name] for name in content.files}
    return {
        part: _part(path, part, inputs, arrays)
        for part in _PARTS
        if (inputs := _find(arrays, INPUTS, part)) is not None or part == "train"
    }


def as_records(
    inputs: Any, labels: Any, ids: Any = None, *, source: str, part: str = ""
) -> Records:
    """Return arrays as records.

    Args:
        inputs: uint8 images, ``[samples, height, width]``, with channels before or after them, or
            numbers, ``[samples, ...]``.
        labels: the label of each sample, words or whole numbers, ``[samples]``.
        ids: a name for each sample; by default, its position.
        source: where they are from, for messages.
        part: what the positions of a part are marked by, such as "test ".

    Raises:
        InputError: a shape or a dtype is not as above, or a number is not finite.
    """
    inputs, labels = as_array(inputs), as_array(labels)
    require(
        labels.ndim == 1 and labels.dtype.kind in "iubUSO",
        f"{source}: expected labels [samples], words or whole numbers, got {labels.dtype} "
        f"{list(labels.shape)}",
    )
    names = [f"{part}{i}" for i in range(len(labels))] if ids is None else list(map(str, ids))
    words = tuple(as_word(label) for label in labels.tolist())
    return Records(tuple(names), words, as_samples(inputs, source), source)


def as_samples(inputs: NDArray[Any] | Any, source: str) -> Tensor:
    """Return an array as samples: images with channels first, or float32.

    Args:
        inputs: as for :func:`as_records`.
        source: where they are from, for messages.

    Raises:
        InputError: a shape or a dtype is not as above.

    Example:
        >>> import numpy as np
        >>> from metaloss.tasks.own_arrays import as_samples
        >>> as_samples(np.zeros((2, 8, 9, 3), dtype=np.uint8), "pets").shape
        torch.Size([2, 3, 8, 9])
    """
    inputs = channels_first(as_array(inputs), source)
    if inputs.dtype == np.uint8 and inputs.ndim == 4:
        return torch.from_numpy(np.ascontiguousarray(inputs))
    return torch.from_numpy(np.ascontiguousarray(inputs, dtype=np.float32))


def channels_first(inputs: NDArray[Any], source: str) -> NDArray[Any]:
    """Return a view of an array with the channels of images before their height and width.

    Args:
        inputs: as for :func:`as_records`.
        source: where they are from, for messages.

    Raises:
        InputError: a shape or a dtype is not as above.
    """
    require(
        inputs.ndim >= 2 and inputs.dtype.kind in "biuf",
        f"{source}: expected inputs [samples, ...] in numbers, got {inputs.dtype} "
        f"{list(inputs.shape)}",
    )
    if inputs.dtype == np.uint8 and inputs.ndim == 3:
        return inputs[:, None]
    if inputs.ndim == 4 and inputs.shape[1] not in _CHANNELS and inputs.shape[3] in _CHANNELS:
        inputs = inputs.transpose(0, 3, 1, 2)
    require(
        inputs.dtype != np.uint8 or inputs.ndim != 4 or inputs.shape[1] in _CHANNELS,
        f"{source}: expected images with 1 or 3 channels, got {list(inputs.shape)}",
    )
    return inputs


def _part(path: Path, part: str, inputs: Any, arrays: Mapping[str, Any]) -> Records:
    labels = _find(arrays, LABELS, part)
    for what, found, names in (("inputs", inputs, INPUTS), ("labels", labels, LABELS)):
        require(
            found is not None,
            f"{path}: expected {what} named {' or '.join(names)} for the {part} samples, got "
            f"{', '.join(arrays) or 'nothing'}",
        )
    mark = "" if part == "train" else f"{part} "
    ids = _find(arrays, ("ids",), part)
    return as_records(inputs, labels, ids, source=str(path), part=mark)


def _find(arrays: Mapping[str, Any], names: tuple[str, ...], part: str) -> Any:
    for name in names:
        for mark in _PARTS[part]:
            for full in (f"{name}{mark}", f"{mark}{name}"):
                if full in arrays:
                    return arrays[full]
    return None


def as_array(values: Any) -> NDArray[Any]:
    """Return an array, a tensor or a list as an array."""
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    return np.asarray(values)


def as_word(label: Any) -> str:
    """Return a label as text."""
    return label.decode(errors="backslashreplace") if isinstance(label, bytes) else str(label)
