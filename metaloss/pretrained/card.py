"""The JSON card of a saved adjuster, and the digest of the card and the tensors."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metaloss.checks import InputError, require
from metaloss.files import user_path, write_atomically

FORMAT = "metaloss-adjuster"
VERSION = 2
TENSORS = "adjuster.safetensors"
CARD = "card.json"
# An adjuster with 100 hidden units has 2 KB; a larger file is not an adjuster.
MOST_BYTES = 16 * 2**20
# A list without lists in it. Line breaks are JSON's own: those of a text are escaped.
FLAT_LIST = re.compile(r"\[\n([^\[\]{}]*?)\n\s*\]")


def sealed(card: Mapping[str, Any], tensors: bytes) -> dict[str, Any]:
    """Return the card in the current version, with a digest of it and the tensors.

    Args:
        card: the entries. The digest does not cover ``about``, which is for readers only.
        tensors: the bytes of the file of tensors.

    Raises:
        InputError: an entry is not JSON.
    """
    others = {key: value for key, value in card.items() if key not in {"sha256", "about"}}
    done = {**others, "format": FORMAT, "version": VERSION}
    return {**done, "sha256": _digest(done, tensors), "about": card.get("about", {})}


def check_seal(card: Mapping[str, Any], tensors: bytes, folder: Path) -> None:
    """Raise :class:`~metaloss.checks.InputError` unless the card's digest matches the files."""
    require(
        card.get("sha256") == _digest(card, tensors),
        f"{folder}: expected {CARD} and {TENSORS} as they were saved, got changed or damaged files "
        "(their SHA-256 differs)",
    )


def add_to_card(folder: str | Path, about: Mapping[str, Any]) -> None:
    """Update the ``about`` of a saved adjuster's card.

    Args:
        folder: the folder of a saved adjuster.
        about: entries to add or replace.

    Raises:
        InputError: there is no card, or an entry is not JSON.
    """
    path = user_path(folder) / CARD
    card = read_card(path)
    write_atomically(path, card_text({**card, "about": {**card["about"], **about}}))


def fingerprint(folder: str | Path) -> str:
    """Return a SHA-256 that identifies a saved adjuster; it covers everything but ``about``.

    Raises:
        InputError: there is no card.
    """
    card = read_card(find_card(user_path(folder)))
    return hashlib.sha256(_functional(card)).hexdigest()


def card_text(card: Mapping[str, Any]) -> bytes:
    """Return the card's JSON, with a list of numbers or texts on one line.

    Raises:
        InputError: an entry is not JSON.
    """
    try:
        text = json.dumps(card, indent=1)
    except (TypeError, ValueError) as error:
        raise InputError(f"about: expected what JSON can hold: {error}") from None
    return FLAT_LIST.sub(_on_one_line, text).encode()


def _on_one_line(found: re.Match[str]) -> str:
    return "[" + ", ".join(item.strip() for item in found[1].split(",\n")) + "]"


def read_card(path: Path) -> dict[str, Any]:
    """Read a card.

    Raises:
        InputError: the file is missing, or of another version.
    """
    data = read_bytes(path)
    try:
        card = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected JSON, got {error}") from None
    form = (card.get("format"), card.get("version")) if isinstance(card, dict) else None
    require(
        form == (FORMAT, VERSION), f"{path}: expected {FORMAT} of version {VERSION}, got {form}"
    )
    return card


def find_card(folder: Path) -> Path:
    """Return the path of a folder's card.

    Raises:
        InputError: there is no card; the message names one in a folder below, if there is one.
    """
    path = folder / CARD
    if not path.is_file():
        # From a run's folder down: METHOD/seed-0/adjuster.
        depths = ("*", "*/*", "*/*/*")
        below = [str(card.parent) for d in depths for card in sorted(folder.glob(f"{d}/{CARD}"))]
        hint = f"; did you mean {below[0]}?" if below else ""
        raise InputError(f"{path}: expected a file of a learned adjuster, got nothing there{hint}")
    return path


def read_bytes(path: Path) -> bytes:
    """Read a file, up to the size that an adjuster can have.

    Raises:
        InputError: the file is missing or too large.
    """
    require(path.is_file(), f"{path}: expected a file of a learned adjuster, got nothing there")
    size = path.stat().st_size
    require(size <= MOST_BYTES, f"{path}: expected at most {MOST_BYTES} bytes, got {size}")
    return path.read_bytes()


def _digest(card: Mapping[str, Any], tensors: bytes) -> str:
    done = {key: value for key, value in card.items() if key != "sha256"}
    return hashlib.sha256(_functional(done) + tensors).hexdigest()


def _functional(card: Mapping[str, Any]) -> bytes:
    """Return the card without ``about`` as canonical JSON."""
    done = {key: value for key, value in card.items() if key != "about"}
    try:
        return json.dumps(done, sort_keys=True).encode()
    except RecursionError:
        raise InputError(f"{CARD}: expected entries nested a few deep, got too many") from None
