"""The JSON card of a saved adjuster, and the digest that seals it together with the tensors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metaloss.checks import InputError, require
from metaloss.files import user_path, write_atomically

FORMAT = "metaloss-adjuster"
# Version 1's digest is of the tensors alone. Such files are read, and not written any more.
VERSION = 2
TENSORS = "adjuster.safetensors"
CARD = "card.json"
# A hundred hidden units take 2 KB; a file past this is not an adjuster.
MOST_BYTES = 16 * 2**20


def sealed(card: Mapping[str, Any], tensors: bytes) -> dict[str, Any]:
    """The card in today's version, with the digest of what it and the tensors do.

    Args:
        card: the entries; ``about``, which is for people, is not part of the digest.
        tensors: the bytes of the other file.

    Raises:
        InputError: an entry that JSON cannot hold.
    """
    others = {key: value for key, value in card.items() if key not in {"sha256", "about"}}
    done = {**others, "format": FORMAT, "version": VERSION}
    return {**done, "sha256": _digest(done, tensors), "about": card.get("about", {})}


def check_seal(card: Mapping[str, Any], tensors: bytes, folder: Path) -> None:
    """Raise :class:`~metaloss.checks.InputError` unless the digest is that of these two files."""
    if card["version"] == VERSION:
        expected, what = _digest(card, tensors), f"{CARD} and {TENSORS} as they were saved"
    else:
        expected, what = hashlib.sha256(tensors).hexdigest(), f"the {TENSORS} of its {CARD}"
    require(
        card.get("sha256") == expected,
        f"{folder}: expected {what}, got changed or damaged files (their SHA-256 differs)",
    )


def add_to_card(folder: str | Path, about: Mapping[str, Any]) -> None:
    """Let a saved adjuster's card say more; what was learned stays as it is.

    Args:
        folder: what :func:`~metaloss.pretrained.save_adjuster` wrote.
        about: entries, in place of those of the same names.

    Raises:
        InputError: there is no card, or an entry that JSON cannot hold.
    """
    path = user_path(folder) / CARD
    card = read_card(path)
    write_atomically(path, card_text({**card, "about": {**card["about"], **about}}))


def upgrade_card(folder: str | Path) -> None:
    """Give an adjuster of an earlier version today's card, whose digest covers the card too.

    Args:
        folder: what :func:`~metaloss.pretrained.save_adjuster` wrote.

    Raises:
        InputError: a file that is missing or damaged.
    """
    folder = user_path(folder)
    path = found_card(folder)
    card, tensors = read_card(path), read_bytes(folder / TENSORS)
    check_seal(card, tensors, folder)
    write_atomically(path, card_text(sealed(card, tensors)))


def fingerprint(folder: str | Path) -> str:
    """The SHA-256 of what a saved adjuster does: its card, with its digest, but ``about``.

    Raises:
        InputError: there is no card.
    """
    card = read_card(found_card(user_path(folder)))
    return hashlib.sha256(_functional(card)).hexdigest()


def card_text(card: Mapping[str, Any]) -> bytes:
    """A card as its file has it.

    Raises:
        InputError: an entry that JSON cannot hold.
    """
    try:
        return json.dumps(card, indent=1).encode()
    except (TypeError, ValueError) as error:
        raise InputError(f"about: expected what JSON can hold: {error}") from None


def read_card(path: Path) -> dict[str, Any]:
    """The card in a file.

    Raises:
        InputError: there is none, or one of a version that is not known here.
    """
    data = read_bytes(path)
    try:
        card = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected JSON, got {error}") from None
    form = (card.get("format"), card.get("version")) if isinstance(card, dict) else None
    require(
        form in [(FORMAT, version) for version in range(1, VERSION + 1)],
        f"{path}: expected {FORMAT} of version 1 to {VERSION}, got {form}",
    )
    return card


def found_card(folder: Path) -> Path:
    """The card in a folder; where it has none, what is said of the folders below that do.

    Raises:
        InputError: there is none.
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
    """The bytes of a file that is no larger than an adjuster's can be.

    Raises:
        InputError: there is none, or a larger one.
    """
    require(path.is_file(), f"{path}: expected a file of a learned adjuster, got nothing there")
    size = path.stat().st_size
    require(size <= MOST_BYTES, f"{path}: expected at most {MOST_BYTES} bytes, got {size}")
    return path.read_bytes()


def _digest(card: Mapping[str, Any], tensors: bytes) -> str:
    done = {key: value for key, value in card.items() if key != "sha256"}
    return hashlib.sha256(_functional(done) + tensors).hexdigest()


def _functional(card: Mapping[str, Any]) -> bytes:
    """What of a card changes what the adjuster does, as bytes that do not depend on the layout."""
    done = {key: value for key, value in card.items() if key != "about"}
    try:
        return json.dumps(done, sort_keys=True).encode()
    except RecursionError:
        raise InputError(f"{CARD}: expected entries nested a few deep, got too many") from None
