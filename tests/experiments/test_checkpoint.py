"""Saving and loading checkpoints, and what happens if one is damaged."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from metaloss.checks import InputError
from metaloss.conditioners import Margin, MovingAverage
from metaloss.experiments import (
    Adjusted,
    RunFolder,
)
from metaloss.experiments.records.checkpoint import (
    before,
    checkpoints,
    load_latest,
    save_checkpoint,
)
from metaloss.losses import GCE
from metaloss.training import Observer, Recipe, TrainState
from tests.experiments.runs import Stop, experiment
from tests.helpers.tasks import blobs


class Listen(Observer):
    """Collects the warnings on checkpoints."""

    def __init__(self) -> None:
        self.warned: list[str] = []

    def warn(self, line: str) -> None:
        if "checkpoint" in line:
            self.warned.append(line)


def flip(path: Path, position: int) -> None:
    """Flip one bit of a file."""
    held = bytearray(path.read_bytes())
    held[position] ^= 1 << position % 8
    path.write_bytes(held)


def test_every_flipped_bit_is_seen(tmp_path: Path) -> None:
    path, network = tmp_path / "c.pt", nn.Linear(2, 1)
    save_checkpoint(path, network)
    load_latest(path, network)
    for position in range(0, path.stat().st_size, 17):
        flip(path, position)
        with pytest.raises(InputError, match=r"c\.pt: expected a checkpoint of this run, got a"):
            load_latest(path, network)
        flip(path, position)
    load_latest(path, network)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A folder with a finished run and one that was stopped in its third epoch, and a table."""
    place = tmp_path_factory.mktemp("made")
    whole = experiment().run(RunFolder(place / "whole"))
    with pytest.raises(KeyboardInterrupt):
        experiment().run(RunFolder(place / "run"), Stop(3))
    return place, whole


@pytest.mark.parametrize("damage", ["one bit", "half", "gone"])
def test_the_one_before_takes_its_place(damage: str, made, tmp_path: Path) -> None:
    shutil.copytree(made[0], tmp_path, dirs_exist_ok=True)
    whole, path = made[1], tmp_path / "run/A/seed-0/checkpoint.pt"
    if damage == "one bit":
        flip(path, 3000)
    elif damage == "half":
        path.write_bytes(path.read_bytes()[:2000])
    else:
        path.unlink()  # as where the process ended between the two
    listen = Listen()
    assert experiment().run(RunFolder(tmp_path / "run", resume=True), listen) == whole
    said = "" if damage == "gone" else f"{path}: expected a checkpoint of this run, got a damaged "
    assert "".join(listen.warned).startswith(said)
    assert len(listen.warned) == (damage != "gone")
    names = {"metrics.jsonl", "model.safetensors", "samples.safetensors", "adjuster", "result.json"}
    assert {file.name for file in path.parent.iterdir()} >= names
    assert not checkpoints(path)
    for name in ("model", "samples"):
        where = f"A/seed-0/{name}.safetensors"
        ours, theirs = (tmp_path / place / where for place in ("run", "whole"))
        assert ours.read_bytes() == theirs.read_bytes()


def test_a_damaged_one_is_not_kept_as_the_one_before(made, tmp_path: Path) -> None:
    shutil.copytree(made[0], tmp_path, dirs_exist_ok=True)
    path = tmp_path / "run/A/seed-0/checkpoint.pt"
    flip(path, 3000)
    with pytest.raises(KeyboardInterrupt):  # after the second epoch, done anew
        experiment().run(RunFolder(tmp_path / "run", resume=True), Stop(3))
    assert checkpoints(path) == [path, before(path, 1)]
    flip(path, 3000)
    listen = Listen()
    experiment().run(RunFolder(tmp_path / "run", resume=True), listen)
    assert len(listen.warned) == 1


def test_if_both_are_damaged_nothing_is_trained(made, tmp_path: Path) -> None:
    shutil.copytree(made[0], tmp_path, dirs_exist_ok=True)
    path = tmp_path / "run/A/seed-0/checkpoint.pt"
    for file in checkpoints(path):
        flip(file, 3000)
    got = "expected a checkpoint of this run, got a damaged file"
    both = rf"checkpoint\.pt: {got}; .*checkpoint-before\.pt: {got}; delete .*seed-0 to run it anew"
    with pytest.raises(InputError, match=both):
        experiment().run(RunFolder(tmp_path / "run", resume=True))


class Number:
    """A state that is a number."""

    def __init__(self, value: int = -1) -> None:
        self.value = value

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.value = saved["value"]


def values(path: Path) -> list[int]:
    """The states in the checkpoints, the last one first."""
    found = []
    for file in checkpoints(path):
        state = Number()
        load_latest(file, state)
        found.append(state.value)
    return found


@pytest.mark.parametrize("keep", [1, 2, 3, 5])
def test_the_last_n_are_kept(keep: int, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    for value in range(7):
        save_checkpoint(path, Number(value), keep=keep)
        assert values(path) == list(range(value, -1, -1))[:keep]
    save_checkpoint(path, Number(7), keep=2)
    assert values(path) == [7, 6]


@pytest.mark.parametrize("damaged", [0, 1, 2, 3])
def test_the_last_that_is_whole_is_used_and_named(damaged: int, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    for value in range(6):
        save_checkpoint(path, Number(value), keep=4)
    for number in range(damaged):
        flip(before(path, number), 500)
    state = Number()
    said = load_latest(path, state)
    assert state.value == 5 - damaged
    assert values(path) == list(range(5 - damaged, 1, -1))
    if damaged == 0:
        assert said is None
    else:
        assert said is not None and said.endswith(f"; went on from {before(path, damaged).name}")
        assert [str(before(path, number)) in said for number in range(4)] == [
            number < damaged for number in range(4)
        ]
    for value in range(6, 9):
        save_checkpoint(path, Number(value), keep=4)
    assert values(path)[:4] == [8, 7, 6, 5 - damaged]


def test_a_process_that_ended_between_two_renames_lost_nothing(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    for value in range(4):
        save_checkpoint(path, Number(value), keep=3)
    before(path, 2).unlink()
    before(path, 1).rename(before(path, 2))
    save_checkpoint(path, Number(4), keep=3)
    assert values(path) == [4, 3, 2]


def test_a_full_disk_leaves_the_checkpoints_as_they_were(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "checkpoint.pt"
    for value in range(3):
        save_checkpoint(path, Number(value), keep=3)

    class Full(io.BytesIO):
        def flush(self) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("metaloss.files.os.fdopen", lambda *_: Full())
        with pytest.raises(OSError, match=r"No space left on device: '.*checkpoint\.pt'"):
            save_checkpoint(path, Number(3), keep=3)
    assert values(path) == [2, 1, 0]
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(
        file.name for file in checkpoints(path)
    )


def test_checkpoints_beside_a_result_are_deleted(made, tmp_path: Path) -> None:
    shutil.copytree(made[0] / "whole", tmp_path / "run")
    path = tmp_path / "run/A/seed-0/checkpoint.pt"
    for number in range(3):  # as where the process ended before it deleted them
        before(path, number).write_bytes(b"...")
    experiment().run(RunFolder(tmp_path / "run", resume=True))
    assert not checkpoints(path)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "run by the checkpoint",)

    path, buffer = tmp_path / "checkpoint.pt", io.BytesIO()
    torch.save({"identity": {}, "state": {"value": Evil()}}, buffer)
    held = buffer.getvalue()
    digest = hashlib.sha256(held).hexdigest()
    path.write_bytes(f"metaloss checkpoint, SHA-256 {digest}\n".encode() + held)
    with pytest.raises(InputError, match="tensors and plain values alone, got one with other obj"):
        load_latest(path, Number())
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]


class TestCheckpoint:
    def make(self) -> TrainState:
        method = Adjusted(name="A", loss=GCE(), conditioner=MovingAverage(Margin()))
        task = blobs()
        return TrainState.start(nn.Linear(5, 3), method.criterion(task), task, Recipe(epochs=1))

    def test_round_trip(self, tmp_path) -> None:
        state, other = self.make(), self.make()
        state.criterion.conditioner.memory.normal_()
        state.step, state.meta_step = 7, 3
        state.meta_learner.keep_snapshot(0.5)
        save_checkpoint(tmp_path / "c.pt", state)
        load_latest(tmp_path / "c.pt", other)
        assert (other.step, other.meta_step) == (7, 3)
        for ours, theirs in [(state.model, other.model), (state.criterion, other.criterion)]:
            expected = ours.state_dict()
            assert all(torch.equal(expected[k], v) for k, v in theirs.state_dict().items())
        ((fraction, snapshot),) = other.meta_learner.snapshots
        assert fraction == 0.5
        assert torch.equal(snapshot["net.0.bias"], state.criterion.adjuster.net[0].bias)

    @pytest.mark.parametrize("damage", ["empty", "half", "text", "a list", "another model"])
    def test_damage_is_told(self, tmp_path, damage: str) -> None:
        path = tmp_path / "c.pt"
        save_checkpoint(path, self.make())
        state = self.make()
        if damage == "empty":
            path.write_bytes(b"")
        elif damage == "text":
            path.write_bytes(b"garbage")
        elif damage == "a list":
            torch.save([1, 2], path)
        elif damage == "half":
            path.write_bytes(path.read_bytes()[:1000])
        else:
            state.model = nn.Linear(4, 3)
        with pytest.raises(InputError, match="expected a checkpoint of this run"):
            load_latest(path, state)
