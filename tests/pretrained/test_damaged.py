"""Files that cannot be trusted are refused in one line, and nothing in them is ever executed."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from metaloss import AdjustedLoss, InputError
from metaloss.conditioners import Concat, LossValue, Margin
from metaloss.losses import GCE, SL
from metaloss.pretrained import load_adjuster, save_adjuster
from metaloss.pretrained.files import MOST_BYTES
from tests.pretrained.cases import contents, learned, same

pytestmark = pytest.mark.bad_input

TENSORS, CARD = "adjuster.safetensors", "card.json"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_adjuster(tmp_path, learned())
    return tmp_path


def refused(folder: Path, *words: str) -> None:
    before = contents(folder) if folder.is_dir() else None
    with pytest.raises(InputError) as caught:
        load_adjuster(folder)
    message = str(caught.value)
    for word in words:
        assert word in message, message
    assert "\n" not in message
    if before is not None:
        assert contents(folder) == before


def rewrite_card(folder: Path, **changed: Any) -> None:
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**card, **changed}))


def put_tensors(folder: Path, data: bytes) -> None:
    """Other tensors, by somebody who takes care that the card fits them."""
    (folder / TENSORS).write_bytes(data)
    rewrite_card(folder, sha256=hashlib.sha256(data).hexdigest())


# Missing and cut off


def test_the_untouched_files_are_loaded(tmp_path: Path):
    criterion = learned()
    save_adjuster(tmp_path, criterion)
    assert same(load_adjuster(tmp_path), criterion)


@pytest.mark.parametrize("name", [TENSORS, CARD])
def test_a_missing_file(saved: Path, name: str):
    (saved / name).unlink()
    refused(saved, name, "got nothing there")


@pytest.mark.parametrize("name", [TENSORS, CARD])
def test_a_folder_in_its_place(saved: Path, name: str):
    (saved / name).unlink()
    (saved / name).mkdir()
    with pytest.raises(InputError, match=name):
        load_adjuster(saved)


def test_a_missing_folder(tmp_path: Path):
    refused(tmp_path / "nothing", "nothing", CARD)


@pytest.mark.parametrize("name", [TENSORS, CARD])
@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_file(saved: Path, name: str, part: float):
    data = (saved / name).read_bytes()
    (saved / name).write_bytes(data[: int(part * len(data))])
    refused(saved, name)


@pytest.mark.parametrize("name", [TENSORS, CARD])
def test_a_file_that_is_too_large(saved: Path, name: str):
    with (saved / name).open("r+b") as file:
        file.truncate(MOST_BYTES + 1)
    refused_words = (name, f"at most {MOST_BYTES} bytes", f"got {MOST_BYTES + 1}")
    with pytest.raises(InputError) as caught:
        load_adjuster(saved)
    assert all(word in str(caught.value) for word in refused_words)


@pytest.mark.parametrize("place", [0, 8, 100, -1])
def test_a_flipped_bit(saved: Path, place: int):
    data = bytearray((saved / TENSORS).read_bytes())
    data[place] ^= 1
    (saved / TENSORS).write_bytes(data)
    refused(saved, TENSORS, "SHA-256")


def test_tensors_of_another_adjuster(saved: Path, tmp_path_factory: pytest.TempPathFactory):
    other = tmp_path_factory.mktemp("other")
    save_adjuster(other, learned())
    assert (other / TENSORS).read_bytes() != (saved / TENSORS).read_bytes()
    (saved / TENSORS).write_bytes((other / TENSORS).read_bytes())
    refused(saved, "SHA-256")


# Tensors that the card vouches for


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_pickle(saved: Path, tmp_path_factory: pytest.TempPathFactory):
    executed = tmp_path_factory.mktemp("elsewhere") / "executed"
    pickle.loads(pickle.dumps(Bomb(executed)))
    assert executed.exists(), "the test's own bomb does not work"
    executed.unlink()
    put_tensors(saved, pickle.dumps(Bomb(executed)))
    refused(saved)
    torch.save({"net": Bomb(executed)}, saved / TENSORS)
    put_tensors(saved, (saved / TENSORS).read_bytes())
    refused(saved)
    assert not executed.exists()


@pytest.mark.parametrize("keep", [0, 4, 8, 100, -1])
def test_tensors_that_break_off(saved: Path, keep: int):
    put_tensors(saved, (saved / TENSORS).read_bytes()[:keep])
    refused(saved)


def changed_tensors(saved: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load((saved / TENSORS).read_bytes())


@pytest.mark.parametrize("change", ["shape", "missing", "more", "renamed", "none"])
def test_tensors_of_other_shapes_or_names(saved: Path, change: str):
    tensors = changed_tensors(saved)
    name = "0/net.0.bias"
    if change == "shape":
        tensors[name] = tensors[name][:1].clone()
    elif change == "missing":
        del tensors[name]
    elif change == "more":
        tensors["0/net.4.bias"] = torch.zeros(1)
    elif change == "renamed":
        tensors["1/net.0.bias"] = tensors.pop(name)
    else:
        tensors = {}
    put_tensors(saved, safetensors.torch.save(tensors))
    refused(saved, TENSORS, "expected 0/net.", "got")


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_numbers_that_nothing_can_be_reckoned_with(saved: Path, value: float):
    tensors = changed_tensors(saved)
    tensors["0/net.0.bias"][0] = value
    put_tensors(saved, safetensors.torch.save(tensors))
    refused(saved, TENSORS, "0/net.0.bias", "expected finite values")


def test_tensors_of_whole_numbers(saved: Path):
    tensors = changed_tensors(saved)
    tensors["0/net.0.bias"] = tensors["0/net.0.bias"].to(torch.int8)
    put_tensors(saved, safetensors.torch.save(tensors))
    refused(saved, TENSORS, "0/net.0.bias of torch.float32", "got torch.int8")


# Cards


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


@pytest.mark.parametrize("version", [0, 2, "1", None, [1]])
def test_another_version(saved: Path, version: Any):
    rewrite_card(saved, version=version)
    refused(saved, CARD, "metaloss-adjuster version 1", repr(version))


def test_another_format(saved: Path):
    rewrite_card(saved, format="something-else")
    refused(saved, CARD, "something-else")


@pytest.mark.parametrize("digest", [None, "", "0" * 64, 5])
def test_another_digest(saved: Path, digest: Any):
    rewrite_card(saved, sha256=digest)
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
    card = json.loads((saved / CARD).read_text())
    del card[key]
    (saved / CARD).write_text(json.dumps(card))
    refused(saved)


def test_what_the_card_says_about_it_is_for_people(saved: Path):
    expected = load_adjuster(saved)
    rewrite_card(saved, about="anything", more=[1, 2])
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


def test_a_card_that_asks_for_a_million_snapshots(saved: Path):
    rewrite_card(saved, until=[k / 10**6 for k in range(1, 10**6 + 1)])
    refused(saved, "until: expected fractions of no more snapshots", f"got {10**6}")


def test_a_card_that_asks_for_more_memory_than_there_is(saved: Path):
    card = json.loads((saved / CARD).read_text())
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


def test_tensors_of_a_kind_without_arithmetic(saved: Path):
    tensors = safetensors.torch.load((saved / TENSORS).read_bytes())
    small = {name: value.to(torch.float8_e4m3fn) for name, value in tensors.items()}
    put_tensors(saved, safetensors.torch.save(small))
    refused(saved, "expected a learned adjuster")


@pytest.mark.parametrize("above", ["run", "run/A-GCE", "run/A-GCE/seed-0"])
def test_the_folder_above_is_told_what_is_below(above: str, tmp_path: Path):
    below = tmp_path / "run" / "A-GCE" / "seed-0" / "adjuster"
    save_adjuster(below, learned())
    with pytest.raises(InputError, match=re.escape(f"got nothing there; did you mean {below}?")):
        load_adjuster(tmp_path / above)
