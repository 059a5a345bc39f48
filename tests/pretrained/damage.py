"""Files of an adjuster, changed by chance or by somebody who knows how."""

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
    """It cannot be loaded, one line says why, and the files are left as they were."""
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
    """What its card says."""
    return json.loads((folder / CARD).read_text())


def put_card(folder: Path, card: dict[str, Any]) -> None:
    """Another card, by somebody who takes care that its digest is right."""
    text = json.dumps(sealed(card, (folder / TENSORS).read_bytes()))
    (folder / CARD).write_text(text)


def rewrite_card(folder: Path, **changed: Any) -> None:
    """Other entries, with the digest that fits them."""
    put_card(folder, {**card_of(folder), **changed})


def change_card(folder: Path, **changed: Any) -> None:
    """Other entries, and the digest as it was."""
    (folder / CARD).write_text(json.dumps({**card_of(folder), **changed}))


def put_tensors(folder: Path, data: bytes) -> None:
    """Other tensors, with a card that fits them."""
    (folder / TENSORS).write_bytes(data)
    put_card(folder, card_of(folder))
