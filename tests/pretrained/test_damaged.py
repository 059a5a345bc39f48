"""Damaged files raise an error of one line, and no code in them is executed."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest
import safetensors.torch
import torch

from metaloss import InputError
from metaloss.pretrained import load_adjuster, save_adjuster
from metaloss.pretrained.card import CARD, MOST_BYTES, TENSORS
from tests.pretrained.cases import learned, same
from tests.pretrained.damage import put_tensors, refused

pytestmark = pytest.mark.bad_input

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
