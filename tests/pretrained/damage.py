"""Changes of an adjuster's files, by accident or on purpose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from metaloss import InputError
from metaloss.pretrained import load_adjuster
from metaloss.pretrained.card import CARD, TENSORS, sealed
from tests.pretrained.cases import contents


def refused(folder: Path, *words: str) -> None:
    """Asserts that loading fails with a message of one line and changes no file."""
    before = contents(folder) if folder.is_dir() else None
    with pytest.raises(InputError) as caught:
        load_adjuster(folder)
    message = str(caught.value)
    for word in words:
        assert word in message, message
    assert "\n" not in message
    if before is not None:
        assert contents(folder) == before


def card_of(folder: Path) -> dict[str, Any]:
    """Return the card."""
    return json.loads((folder / CARD).read_text())


def put_card(folder: Path, card: dict[str, Any]) -> None:
    """Replaces the card, with a valid digest."""
    text = json.dumps(sealed(card, (folder / TENSORS).read_bytes()))
    (folder / CARD).write_text(text)


def rewrite_card(folder: Path, **changed: Any) -> None:
    """Changes entries of the card, with a valid digest."""
    put_card(folder, {**card_of(folder), **changed})


def change_card(folder: Path, **changed: Any) -> None:
    """Changes entries of the card but not the digest."""
    (folder / CARD).write_text(json.dumps({**card_of(folder), **changed}))


def put_tensors(folder: Path, data: bytes) -> None:
    """Replaces the tensors, with a valid digest."""
    (folder / TENSORS).write_bytes(data)
    put_card(folder, card_of(folder))
