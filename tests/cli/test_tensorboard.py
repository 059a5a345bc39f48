"""Metrics for TensorBoard."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from typer.testing import CliRunner

from metaloss.cli import app


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


def test_without_the_library(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    line = refused("train", "experiments/smoke_digits.gin", "--tensorboard", "--out", "run")
    assert line.endswith('pip install "metaloss[tensorboard]"')
