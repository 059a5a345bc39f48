"""Resuming a run names damaged files in its folder before anything is trained."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from metaloss.checks import InputError
from metaloss.experiments import RunFolder
from metaloss.experiments.records.run_records import RunRecords
from metaloss.training import Observer
from tests.experiments.runs import experiment, stopped


class Never(Observer):
    def step(self, step: int) -> None:
        raise AssertionError("it was trained")


def test_metrics_that_are_not_of_the_checkpoint(tmp_path: Path) -> None:
    stopped(RunFolder(tmp_path / "run"))
    metrics = tmp_path / "run/A/seed-0/metrics.jsonl"
    first, _second = metrics.read_text().splitlines(keepends=True)
    for text in (None, "", "{}\n", first * 2, "\x00" + first):
        metrics.unlink(missing_ok=True)
        if text is not None:
            metrics.write_text(text)
        with pytest.raises(InputError, match=f"{re.escape(str(metrics))}: .*to run it anew"):
            experiment().run(RunFolder(tmp_path / "run", resume=True), Never())
    metrics.write_text(f"garbage\n{first}{first[:20]}")
    resumed = experiment().run(RunFolder(tmp_path / "run", resume=True))
    assert resumed == experiment().run(RunFolder(tmp_path / "whole"))
    assert [json.loads(line)["epoch"] for line in metrics.read_text().splitlines()] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "held",
    [
        b"",
        b'{"accur',
        b"[]",
        b"{}",
        b"null",
        b'"done"',
        b"[" * 100_000,
        b"\xff\xfe\x00",
        b'{"method": "A", "seed": 0, "metric": "accuracy", "accuracy": "high", "seconds": 1}',
        b'{"method": "A", "seed": 0, "metric": "charm", "charm": 1.0, "seconds": 1}',
    ],
)
def test_a_result_that_is_none(held: bytes, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_bytes(held)
    with pytest.raises(InputError, match=r"result\.json: expected .*, got") as refused:
        RunRecords(tmp_path).result()
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 400


def test_tensors_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "samples.safetensors").write_bytes(b"\xff" * 40)
    with pytest.raises(InputError, match=r"samples\.safetensors: expected the file of a finished"):
        RunRecords(tmp_path).read_tensors("samples")
