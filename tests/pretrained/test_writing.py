"""Files are written atomically."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import pytest
import torch

from metaloss import InputError
from metaloss.files import write_atomically
from metaloss.losses import SL
from metaloss.pretrained import load_adjuster, save_adjuster
from tests.pretrained.cases import contents, learned, same


class DiskFull(OSError):
    """Raise the error of a full disk."""


def test_it_writes_and_writes_over(tmp_path: Path):
    path = tmp_path / "note"
    for data in (b"one", b"", b"\x00" * 100_000, b"two"):
        write_atomically(path, data)
        assert contents(tmp_path) == {"note": data}
    write_atomically(str(path), b"three")
    assert path.read_bytes() == b"three"


@pytest.mark.parametrize("error", [DiskFull, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["writing", "moving"])
@pytest.mark.parametrize("old", [None, b"old"])
def test_a_failure_in_the_middle_leaves_what_was_there(
    where: str, error: type[BaseException], old: bytes | None, tmp_path: Path, monkeypatch
):
    path = tmp_path / "note"
    if old is not None:
        path.write_bytes(old)
    before = contents(tmp_path)

    class HalfWritten(io.FileIO):
        def write(self, data):
            super().write(bytes(data)[: len(data) // 2])
            raise error

    def fail(*arguments, **settings):
        raise error

    with monkeypatch.context() as patch:
        if where == "writing":
            patch.setattr(os, "fdopen", lambda handle, mode: HalfWritten(handle, "wb"))
        else:
            for module, name in ((Path, "replace"), (os, "replace"), (os, "rename")):
                patch.setattr(module, name, fail)
        with pytest.raises(error):
            write_atomically(path, b"something new")
    assert contents(tmp_path) == before


def test_a_reader_never_meets_half_of_it(tmp_path: Path, monkeypatch):
    """The old file stays in place while the new one is written."""
    path = tmp_path / "note"
    path.write_bytes(b"old")
    met = []

    class Slow(io.FileIO):
        def write(self, data):
            met.append(path.read_bytes())
            return super().write(data)

    monkeypatch.setattr(os, "fdopen", lambda handle, mode: Slow(handle, "wb"))
    write_atomically(path, b"new")
    assert met == [b"old"]
    assert path.read_bytes() == b"new"


@pytest.mark.skipif(os.name != "posix", reason="there are no such permissions")
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_others_may_read_it_as_any_new_file(mask: int, tmp_path: Path):
    """Temporary files are private; the final file must not be."""
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "note", b"new")
        assert os.umask(mask) == mask, "the user's mask is left alone"
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "note").stat().st_mode) == 0o666 & ~mask


def test_a_folder_that_is_not_there(tmp_path: Path):
    with pytest.raises(OSError, match="nothing"):
        write_atomically(tmp_path / "nothing" / "note", b"new")
    assert contents(tmp_path) == {}


# The two files of an adjuster


@pytest.mark.parametrize("failing", [1, 2])
def test_saving_over_another_never_mixes_the_two(failing: int, tmp_path: Path, monkeypatch):
    old = learned()
    save_adjuster(tmp_path, old)
    before = contents(tmp_path)
    opened = []
    fdopen = os.fdopen

    def failing_at(handle, mode):
        opened.append(handle)
        if len(opened) == failing:
            os.close(handle)
            raise DiskFull
        return fdopen(handle, mode)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdopen", failing_at)
        with pytest.raises(DiskFull):
            save_adjuster(tmp_path, learned())
    assert len(opened) == failing
    assert contents(tmp_path) == before
    assert same(load_adjuster(tmp_path), old)


def test_saving_over_another(tmp_path: Path):
    save_adjuster(tmp_path, learned())
    new = learned(SL())
    save_adjuster(tmp_path, new)
    assert same(load_adjuster(tmp_path), new)
    assert len(contents(tmp_path)) == 2


def bad_saves() -> dict:
    state = learned().adjuster.state_dict()
    other = learned(SL()).adjuster.state_dict()
    fewer = {name: state[name] for name in list(state)[:-1]}
    return {
        "about": {"about": {"accuracy": torch.tensor(0.9)}},
        "ends early": {"snapshots": [(0.5, state)]},
        "descends": {"snapshots": [(0.7, state), (0.3, state), (1.0, state)]},
        "twice": {"snapshots": [(1.0, state), (1.0, state)]},
        "other shapes": {"snapshots": [(0.5, state), (1.0, other)]},
        "fewer tensors": {"snapshots": [(1.0, fewer)]},
    }


@pytest.mark.parametrize("what", bad_saves())
def test_what_could_not_be_loaded_is_not_saved(what: str, tmp_path: Path):
    """Least of all over one that could."""
    old = learned()
    save_adjuster(tmp_path, old)
    before = contents(tmp_path)
    with pytest.raises(InputError, match="expected"):
        save_adjuster(tmp_path, learned(), **bad_saves()[what])
    assert contents(tmp_path) == before
    assert same(load_adjuster(tmp_path), old)


def test_a_file_where_the_folder_should_be(tmp_path: Path):
    (tmp_path / "taken").write_bytes(b"mine")
    with pytest.raises(InputError, match="taken"):
        save_adjuster(tmp_path / "taken", learned())
    assert contents(tmp_path) == {"taken": b"mine"}
