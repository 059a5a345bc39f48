"""Files of labels that ``torch.save`` wrote, read without running what is in them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from metaloss.checks import InputError, require
from metaloss.user_errors import message_of

_KINDS = "?bhilqBHILQefd"  # NumPy's codes of booleans, whole numbers and floating-point numbers


def read_labels(path: Path, what: str, names: Sequence[str]) -> dict[str, Int[Tensor, " samples"]]:
    """Read label arrays of a dictionary.

    The file is a pickle. Nothing is made of it but dictionaries, tensors, and arrays of numbers; a
    file that asks for anything else is refused, and nothing of it is run.

    Args:
        path: the file.
        what: what it should be, for the message.
        names: the names of the arrays to return.

    Returns:
        The labels by name, int64.

    Raises:
        InputError: the file does not exist, is damaged, asks for other objects, or does not hold
            these labels.
    """
    require(path.is_file(), f"{path}: expected {what}, found no such file")
    try:
        # torch warns of a pickle of another protocol before it refuses it.
        with torch.serialization.safe_globals(_numpy_globals()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise InputError(
            f"{path}: expected {what}, arrays of labels and nothing else; this file is not opened: "
            f"{_reason(str(error))}"
        ) from None
    except Exception as error:  # for a damaged file, torch may raise anything
        raise InputError(f"{path}: expected {what}, cannot read it: {message_of(error)}") from None
    require(
        isinstance(content, Mapping),
        f"{path}: expected {what}, a dictionary of labels, got a {type(content).__name__}",
    )
    require(
        all(name in content for name in names),
        f"{path}: expected {' and '.join(names)}, got {', '.join(map(str, content)) or 'nothing'}",
    )
    return {name: _as_labels(f"{path}: {name}", content[name]) for name in names}


def _as_labels(name: str, values: object) -> Tensor:
    try:
        labels = torch.as_tensor(np.asarray(values) if isinstance(values, list) else values)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(
            f"{name}: expected labels [samples], got a {type(values).__name__}"
        ) from None
    require(
        labels.ndim == 1 and not labels.is_floating_point() and not labels.is_complex(),
        f"{name}: expected labels [samples] in whole numbers, got {labels.dtype} "
        f"{list(labels.shape)}",
    )
    return labels.to(torch.int64)


def _numpy_globals() -> list[Callable[..., object] | tuple[Callable[..., object], str]]:
    """Return what a pickled array of whole numbers is made of, by NumPy's old and new names."""
    reconstruct = np.empty(0).__reduce__()[0]
    assert callable(reconstruct)
    return [
        np.ndarray,
        np.dtype,
        (reconstruct, "numpy.core.multiarray._reconstruct"),
        (reconstruct, "numpy._core.multiarray._reconstruct"),
        *{type(np.dtype(code)) for code in _KINDS},
    ]


def _reason(said: str) -> str:
    """Return why torch refuses a file; its text goes on with advice on loading it unsafely."""
    asked = re.search(r"GLOBAL (\S+)", said)
    if asked:
        return f"it asks for {asked[1]}"
    found = re.search(r"WeightsUnpickler error:\s*([^\n]+)", said)
    return found[1].strip() if found else said.splitlines()[0]
