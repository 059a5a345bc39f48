"""Invalid cards, and cards that do not match the tensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from metaloss import AdjustedLoss
from metaloss.conditioners import Concat, LossValue, Margin
from metaloss.losses import GCE, SL
from metaloss.pretrained import load_adjuster, save_adjuster
from metaloss.pretrained.card import CARD, TENSORS
from tests.pretrained.cases import learned, same
from tests.pretrained.damage import card_of, change_card, put_card, refused, rewrite_card

pytestmark = pytest.mark.bad_input


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\x80\x04\x95 pickle",
        b"\xff\xfe\x00",
        b"not json",
        b"{'loss': 'GCE'}",
        b'{"format": "metaloss-adjuster", "version": 1',
        b"[" * 100_000,
        b"null",
        b"[]",
        b"5",
        b'"metaloss-adjuster"',
        b"{}",
    ],
    ids=range(12),
)
def test_a_card_that_is_none(saved: Path, text: bytes):
    (saved / CARD).write_bytes(text)
    refused(saved, CARD)


@pytest.mark.parametrize("version", [0, 1, 3, "2", None, [2]])
def test_another_version(saved: Path, version: Any):
    change_card(saved, version=version)
    refused(saved, CARD, "metaloss-adjuster of version 2", repr(version))


def test_another_format(saved: Path):
    change_card(saved, format="something-else")
    refused(saved, CARD, "something-else")


@pytest.mark.parametrize("digest", [None, "", "0" * 64, 5])
def test_another_digest(saved: Path, digest: Any):
    change_card(saved, sha256=digest)
    refused(saved, TENSORS, "SHA-256")


def test_the_loss_has_other_ranges_here(saved: Path):
    rewrite_card(saved, hyperparameters=[["q", 0.0, 0.5]])
    refused(saved, "GCE", "0.5", "[['q', 0.0, 1.0]]")


@pytest.mark.parametrize("key", ["loss", "conditioner", "adjuster"])
@pytest.mark.parametrize(
    "name", ["Nothing", "LossFamily", "Conditioner", "system", "os.system", "", "__import__"]
)
def test_an_unknown_component(saved: Path, key: str, name: str):
    rewrite_card(saved, **{key: {"type": name, "args": {}}})
    refused(saved, repr(name), "components=")


@pytest.mark.parametrize(
    ("key", "spec"),
    [
        ("loss", {"type": "Margin", "args": {}}),
        ("loss", {"type": "ConstantAdjuster", "args": {"hyperparameters": []}}),
        ("conditioner", {"type": "GCE", "args": {}}),
        ("adjuster", {"type": "Margin", "args": {}}),
        ("adjuster", {"type": "GCE", "args": {}}),
        ("conditioner", {"type": "Concat", "args": {"conditioners": [{"type": "GCE"}]}}),
        ("conditioner", {"type": "Concat", "args": {"conditioners": 5}}),
        ("conditioner", {"type": "Margin", "args": {"width": 5}}),
        ("conditioner", {"type": "MovingAverage", "args": {}}),
        ("adjuster", {"type": "Adjuster", "args": {"num_features": 2, "hidden": 7}}),
        ("adjuster", {"type": "Adjuster", "args": {"num_features": 1, "hidden": 8}}),
        ("adjuster", {"type": "Adjuster", "args": {"num_features": 1, "hidden": "7"}}),
        ("adjuster", {"type": "Adjuster", "args": {"num_features": 1}}),
    ],
    ids=str,
)
def test_components_that_do_not_fit(saved: Path, key: str, spec: Any):
    rewrite_card(saved, **{key: spec})
    refused(saved)


WRONG = [None, True, 0, -1, 1.5, "x", "", [], [None], [0.5, None], ["x"], {}, {"type": "GCE"}]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (key, value)
        for key in ("loss", "conditioner", "adjuster", "detach", "hyperparameters", "until")
        for value in WRONG
        if (key, value) != ("detach", True)
    ],
    ids=str,
)
def test_any_entry_replaced_by_anything(saved: Path, key: str, value: Any):
    rewrite_card(saved, **{key: value})
    refused(saved)


@pytest.mark.parametrize(
    "key",
    [
        "format",
        "version",
        "loss",
        "conditioner",
        "adjuster",
        "detach",
        "hyperparameters",
        "until",
        "sha256",
    ],
)
def test_any_entry_missing(saved: Path, key: str):
    card = card_of(saved)
    del card[key]
    if key in {"format", "version", "sha256"}:
        (saved / CARD).write_text(json.dumps(card))
    else:
        put_card(saved, card)
    refused(saved)


def test_what_the_card_says_about_it_is_for_people(saved: Path):
    expected = load_adjuster(saved)
    change_card(saved, about="anything")
    assert same(load_adjuster(saved), expected)


def test_a_card_and_tensors_of_two_adjusters(saved: Path, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    save_adjuster(other, learned(SL(), Concat([Margin(), LossValue()])))
    for name in (TENSORS, CARD):
        kept = (saved / name).read_bytes()
        (saved / name).write_bytes((other / name).read_bytes())
        refused(saved, "SHA-256")
        (saved / name).write_bytes(kept)
    loaded = load_adjuster(saved)
    assert isinstance(loaded, AdjustedLoss)
    assert loaded.loss == GCE()


def test_a_card_that_asks_for_very_many_snapshots(saved: Path):
    rewrite_card(saved, until=[k / 10**5 for k in range(1, 10**5 + 1)])
    refused(saved, "until: expected fractions of no more snapshots", f"got {10**5}")


def test_a_card_that_asks_for_more_memory_than_there_is(saved: Path):
    card = card_of(saved)
    card["adjuster"]["args"]["hidden"] = 10**12
    rewrite_card(saved, adjuster=card["adjuster"])
    refused(saved, TENSORS, f"[{10**12}]")


def test_a_card_nested_without_end(saved: Path):
    conditioner = {"type": "Margin", "args": {}}
    for _ in range(400):
        conditioner = {"type": "MovingAverage", "args": {"conditioner": conditioner}}
    rewrite_card(saved, conditioner=conditioner)
    refused(saved, "expected a learned adjuster")


def test_a_card_with_a_number_that_no_tensor_holds(saved: Path):
    groups = {"type": "ClassGroup", "args": {"num_groups": 2, "groups": [0, 2**65]}}
    rewrite_card(saved, conditioner=groups)
    refused(saved, str(saved))
