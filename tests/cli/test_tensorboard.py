"""Metrics for TensorBoard."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from typer.testing import CliRunner

from metaloss import runner
from metaloss.cli import app
from metaloss.console.tensorboard import TensorBoard
from metaloss.experiments import RunFolder
from metaloss.training import Observer, RunInfo

CE = "experiments.Experiment.methods = [@ce/experiments.Conventional()]"


def test_the_scalars_are_those_of_the_metrics(tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["train", "experiments/smoke_digits.gin", "--tensorboard", "--out", str(out)]
    methods = "experiments.Experiment.methods = [@a_gce/experiments.Adjusted()]"
    words += ["--gin_param", methods, "--gin_param", "EPOCHS = 2"]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0
    events = EventAccumulator(str(out / "tensorboard" / "A-GCE" / "seed-0"))
    events.Reload()
    lines = (out / "A-GCE" / "seed-0" / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    for tag, name in (("loss/train", "train_loss"), ("training/q_mean", "q_mean")):
        shown = events.Scalars(tag)
        assert [each.step for each in shown] == [1, 2]
        assert [each.value for each in shown] == pytest.approx([r[name] for r in records])


def test_the_folder_is_the_one_that_the_run_gets(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", find_free=True)
    (tmp_path / "run").mkdir()  # by another run, in the same second
    runner.run(
        "experiments/smoke_digits.gin", folder, bindings=[CE, "EPOCHS = 1"], tensorboard=True
    )
    assert list((tmp_path / "run").iterdir()) == []
    assert list((tmp_path / "run-2" / "tensorboard" / "CE" / "seed-0").iterdir()) != []


def test_tasks_that_are_learned_from_together_have_curves_of_their_own(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run") as folder:
        folder.begin()
        board = TensorBoard(folder, Observer())
        board.begin(RunInfo(method="A", seed=0, number=1, runs=1, steps=2, epochs=1))
        for task, loss in (("first", 1.0), ("second", 2.0)):
            board.epoch({"task": task, "epoch": 1, "train_loss": loss, "q_mean": 0.5})
        board.end({})
    events = EventAccumulator(str(folder.path / "tensorboard" / "A" / "seed-0"))
    events.Reload()
    assert set(events.Tags()["scalars"]) == {
        f"{tag}/{task}" for tag in ("loss/train", "training/q_mean") for task in ("first", "second")
    }
    assert [each.value for each in events.Scalars("loss/train/second")] == [2.0]


def test_without_the_library(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    line = refused("train", "experiments/smoke_digits.gin", "--tensorboard", "--out", "run")
    assert line.endswith('pip install "metaloss[tensorboard]"')


def test_a_run_that_ends_without_a_training(tmp_path: Path) -> None:
    TensorBoard(RunFolder(tmp_path / "run"), Observer()).end({})  # it was resumed after its last
    assert not (tmp_path / "run").exists()
