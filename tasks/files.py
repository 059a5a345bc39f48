"""Files of tensors that say what kind of file they are, and files that have to be there."""

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


def expect_file(path: Path, what: str) -> Path:
    """Return ``path`` if a file is there, else raise :class:`InputError` naming it."""
    require(path.is_file(), f"{path}: expected {what}, found no such file")
    return path


def expect_folder(path: Path, what: str) -> Path:
    """Return ``path`` if a folder is there, else raise :class:`InputError` naming it."""
    require(path.is_dir(), f"{path}: expected {what}, found no such folder")
    return path


def stamp(path: Path) -> tuple[str, int, int]:
    """A file's path, time of change and size: what a copy kept in memory is addressed by."""
    status = path.stat()
    return str(path.resolve()), status.st_mtime_ns, status.st_size


def save_tensors(
    path: Path, kind: str, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> None:
    """Write tensors to a safetensors file that says what kind of file it is, whole or not at all.

    Args:
        path: where to; missing folders are made.
        kind: what :func:`load_tensors` will ask for.
        tensors: by name.
        metadata: words to keep beside them.
    """
    make_folder(path.parent)
    # One entry, since the format's writer puts several in an order that changes from run to run.
    entry = json.dumps({"kind": kind, **metadata}, sort_keys=True)
    write_atomically(path, save(dict(tensors), metadata={_ENTRY: entry}))


def load_tensors(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read what :func:`save_tensors` wrote.

    Args:
        path: where from.
        kind: what kind of file it has to be.

    Returns:
        The tensors and the metadata.

    Raises:
        InputError: no file is there, it cannot be read, or it is of another kind.
    """
    expect_file(path, f"a file of {kind}")
    try:
        with safe_open(path, framework="pt") as file:
            entry = (file.metadata() or {}).get(_ENTRY, "{}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: expected a file of {kind}, cannot read it: {error}") from error
    metadata = _as_words(entry)
    found = metadata.get("kind", "another format")
    require(found == kind, f"{path}: expected a file of {kind}, got {found}")
    return tensors, metadata


def _as_words(entry: str) -> dict[str, str]:
    try:
        words = json.loads(entry)
    except (json.JSONDecodeError, RecursionError):  # the latter by lists in lists in lists
        return {}
    return words if isinstance(words, dict) else {}


def sha256(*tensors: Tensor) -> str:
    """SHA-256, in hexadecimal, over the little-endian bytes of CPU tensors, one after the other."""
    digest = hashlib.sha256()
    for tensor in tensors:
        array = tensor.detach().contiguous().numpy()
        digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()
