"""Safetensors files that carry their kind, so that a file of another kind is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from metaloss.checks import InputError, require
from metaloss.files import make_folder, write_atomically

_ENTRY = "metaloss"  # the key of our metadata in a safetensors file


def save_tensors(
    path: Path, kind: str, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> None:
    """Write tensors to a safetensors file, atomically.

    Args:
        path: the file. Missing folders are created.
        kind: the kind of file, which :func:`load_tensors` checks.
        tensors: the tensors by name.
        metadata: texts to store with them.
    """
    make_folder(path.parent)
    # One entry: the writer of the format puts several into an order that differs from run to run.
    entry = json.dumps({"kind": kind, **metadata}, sort_keys=True)
    write_atomically(path, save(dict(tensors), metadata={_ENTRY: entry}))


def load_tensors(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors that :func:`save_tensors` wrote.

    Args:
        path: the file.
        kind: the kind of file that is expected.

    Returns:
        The tensors and the metadata.

    Raises:
        InputError: the file does not exist, cannot be read, or is of another kind.
    """
    require(path.is_file(), f"{path}: expected a file of {kind}, found no such file")
    try:
        with safe_open(path, framework="pt") as file:
            entry = (file.metadata() or {}).get(_ENTRY, "{}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: expected a file of {kind}, cannot read it: {error}") from error
    metadata = _parse(entry)
    found = metadata.get("kind", "another format")
    require(found == kind, f"{path}: expected a file of {kind}, got {found}")
    return tensors, metadata


def _parse(entry: str) -> dict[str, str]:
    try:
        metadata = json.loads(entry)
    except (json.JSONDecodeError, RecursionError):  # deeply nested lists exceed the recursion limit
        return {}
    return metadata if isinstance(metadata, dict) else {}


def sha256(*tensors: Tensor) -> str:
    """Return the SHA-256, in hexadecimal, of the little-endian bytes of CPU tensors in turn."""
    digest = hashlib.sha256()
    for tensor in tensors:
        array = tensor.detach().contiguous().numpy()
        digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()
