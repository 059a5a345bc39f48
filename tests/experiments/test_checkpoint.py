"""Saving and loading checkpoints, and what happens if one is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from metaloss.checks import InputError
from metaloss.conditioners import Margin, MovingAverage
from metaloss.experiments import (
    Adjusted,
    RunFolder,
)
from metaloss.experiments.checkpoint import DamagedError, earlier, load_checkpoint, save_checkpoint
from metaloss.losses import GCE
from metaloss.training import Observer, Recipe, TrainState
from tests.experiments.runs import Stop, experiment
from tests.helpers.tasks import blobs


class Listen(Observer):
    """Collects the remarks on checkpoints."""

    def __init__(self) -> None:
        self.remarks: list[str] = []

    def remark(self, line: str) -> None:
        if "checkpoint" in line:
            self.remarks.append(line)


def flip(path: Path, position: int) -> None:
    """Flip one bit of a file."""
    held = bytearray(path.read_bytes())
    held[position] ^= 1 << position % 8
    path.write_bytes(held)


def stopped(path: Path) -> Path:
    """Stop a run after its third epoch, and return the path of its second checkpoint."""
    with pytest.raises(KeyboardInterrupt):
        experiment().run(RunFolder(path), Stop(3))
    return path / "A/seed-0/checkpoint.pt"


def test_every_flipped_bit_is_seen(tmp_path: Path) -> None:
    path, network = tmp_path / "c.pt", nn.Linear(2, 1)
    save_checkpoint(path, network)
    load_checkpoint(path, network)
    for position in range(0, path.stat().st_size, 7):
        flip(path, position)
        with pytest.raises(DamagedError, match=r"c\.pt: expected a checkpoint of this run, got a"):
            load_checkpoint(path, network)
        flip(path, position)
    load_checkpoint(path, network)


@pytest.mark.parametrize("damage", ["one bit", "half", "gone"])
def test_the_one_before_takes_its_place(damage: str, tmp_path: Path) -> None:
    whole = experiment().run(RunFolder(tmp_path / "whole"))
    path = stopped(tmp_path / "run")
    if damage == "one bit":
        flip(path, 3000)
    elif damage == "half":
        path.write_bytes(path.read_bytes()[:2000])
    else:
        path.unlink()  # as where the process ended between the two
    listen = Listen()
    assert experiment().run(RunFolder(tmp_path / "run", resume=True), listen) == whole
    said = "" if damage == "gone" else f"{path}: expected a checkpoint of this run, got a damaged "
    assert "".join(listen.remarks).startswith(said)
    assert len(listen.remarks) == (damage != "gone")
    names = {"metrics.jsonl", "model.safetensors", "samples.safetensors", "adjuster", "result.json"}
    assert {file.name for file in path.parent.iterdir()} >= names
    assert not path.exists() and not earlier(path).exists()
    for name in ("model", "samples"):
        where = f"A/seed-0/{name}.safetensors"
        ours, theirs = (tmp_path / place / where for place in ("run", "whole"))
        assert ours.read_bytes() == theirs.read_bytes()


def test_a_damaged_one_is_not_kept_as_the_one_before(tmp_path: Path) -> None:
    path = stopped(tmp_path / "run")
    flip(path, 3000)
    with pytest.raises(KeyboardInterrupt):  # after the second epoch, done anew
        experiment().run(RunFolder(tmp_path / "run", resume=True), Stop(3))
    assert path.exists() and earlier(path).exists()
    flip(path, 3000)
    listen = Listen()
    experiment().run(RunFolder(tmp_path / "run", resume=True), listen)
    assert len(listen.remarks) == 1


def test_if_both_are_damaged_nothing_is_trained(tmp_path: Path) -> None:
    path = stopped(tmp_path / "run")
    for file in (path, earlier(path)):
        flip(file, 3000)
    with pytest.raises(InputError, match=r"checkpoint-before\.pt: .* got a damaged file"):
        experiment().run(RunFolder(tmp_path / "run", resume=True))


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
        load_checkpoint(tmp_path / "c.pt", other)
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
            load_checkpoint(path, state)
