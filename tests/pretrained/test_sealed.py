"""The digest covers the tensors, and the card except ``about``."""

from __future__ import annotations

import copy
import re
import shutil
from pathlib import Path

import pytest
import torch

from metaloss import list_pretrained
from metaloss.conditioners import Concat, Margin, MovingAverage
from metaloss.losses import SL, Ranged
from metaloss.pretrained import add_to_card, load_adjuster, save_adjuster
from metaloss.pretrained.bundled import FOLDER
from metaloss.pretrained.card import CARD, TENSORS, fingerprint
from tests.pretrained.cases import learned, same
from tests.pretrained.damage import card_of, change_card, put_card, put_tensors, refused

pytestmark = pytest.mark.bad_input


@pytest.fixture
def detailed(tmp_path: Path) -> Path:
    """Return the folder of an adjuster whose card has many kinds of numbers."""
    loss = Ranged(SL(A=-5.0), {"gamma_1": (0.125, 0.5)})
    conditioner = Concat([Margin(), MovingAverage(Margin(), decay=0.7)])
    criterion = learned(loss, conditioner)
    states = [copy.deepcopy(criterion.adjuster.state_dict()) for _ in range(3)]
    save_adjuster(tmp_path, criterion, list(zip((0.25, 0.5, 1.0), states, strict=True)))
    return tmp_path


def test_every_changed_digit_is_seen(detailed: Path):
    """Also changes to another valid card, such as of ``until``, ``decay`` and ranges."""
    text = (detailed / CARD).read_text()
    functional = text[: text.index('"about"')]
    places = [found.start() for found in re.finditer(r"[0-9]", functional)]
    assert len(places) > 30
    for place in places:
        other = str((int(text[place]) + 1) % 10)
        (detailed / CARD).write_text(text[:place] + other + text[place + 1 :])
        refused(detailed)


@pytest.mark.parametrize(
    ("entry", "value"),
    [("until", [0.25, 0.51, 1.0]), ("detach", False), ("more", 1), ("hyperparameters", [])],
)
def test_a_changed_entry_is_told_of_both_files(detailed: Path, entry: str, value: object):
    change_card(detailed, **{entry: value})
    refused(detailed, f"expected {CARD} and {TENSORS} as they were saved", "SHA-256")


def test_neither_its_layout_nor_what_it_says_to_people_counts(detailed: Path):
    expected, before = load_adjuster(detailed), fingerprint(detailed)
    change_card(detailed, about="anything")  # written without line breaks, too
    assert same(load_adjuster(detailed), expected)
    change_card(detailed, about={})
    add_to_card(detailed, {"accuracy": 93.0})
    assert same(load_adjuster(detailed), expected)
    assert fingerprint(detailed) == before


@pytest.mark.parametrize("name", [adjuster.name for adjuster in list_pretrained()])
def test_those_of_the_package_are_todays(name: str, tmp_path: Path):
    card = card_of(FOLDER / name)
    assert card["version"] == 2
    shutil.copytree(FOLDER / name, tmp_path / name)
    put_card(tmp_path / name, card)
    assert card_of(tmp_path / name) == card


def test_those_of_the_package_are_small():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*.*")) < 200_000


def test_loading_leaves_no_trace(saved: Path):
    generator = torch.get_rng_state()
    criterion = load_adjuster(saved)
    assert torch.equal(torch.get_rng_state(), generator)
    assert criterion.training
    assert criterion.adjuster.awaits_progress is False
    put_tensors(saved, (saved / TENSORS).read_bytes())
    assert same(load_adjuster(saved), criterion)
