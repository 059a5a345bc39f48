"""An experiment in two processes gives what it gives in one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from metaloss.experiments import RunFolder
from tests.helpers.processes import script
from tests.processes.blob_experiment import experiment

NOISY = {"seconds", "samples_per_second"}

pytestmark = pytest.mark.exhaustive


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    place = tmp_path_factory.mktemp("runs")
    ended = script("tests.processes.blob_experiment", place / "two", 2)
    assert ended.returncode == 0, ended.stderr
    experiment(1).run(RunFolder(place / "one"))
    return place / "one", place / "two"


def lines_of(method: Path) -> list[str]:
    return (method / "seed-0/metrics.jsonl").read_text().splitlines()


def numbers(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in NOISY}


def test_the_same_files(runs: tuple[Path, Path]) -> None:
    one, two = (
        {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()} for run in runs
    )
    assert one == two
    assert len(one) > 10


@pytest.mark.parametrize("method", ["CE", "A-GCE"])
def test_the_same_metrics(runs: tuple[Path, Path], method: str) -> None:
    one, two = ([json.loads(line) for line in lines_of(run / method)] for run in runs)
    assert len(one) == 3
    for expected, found in zip(one, two, strict=True):
        assert numbers(found) == pytest.approx(numbers(expected), rel=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        "CE/seed-0/model.safetensors",
        "A-GCE/seed-0/model.safetensors",
        "A-GCE/seed-0/margins.safetensors",
        "A-GCE/seed-0/samples.safetensors",
        "A-GCE/seed-0/adjuster/adjuster.safetensors",
    ],
)
def test_the_same_tensors(runs: tuple[Path, Path], name: str) -> None:
    one, two = (safetensors.torch.load_file(run / name) for run in runs)
    torch.testing.assert_close(two, one, rtol=1e-5, atol=1e-6)


def test_the_same_confusion(runs: tuple[Path, Path]) -> None:
    one, two = ((run / "A-GCE/seed-0/confusion.json").read_text() for run in runs)
    assert one == two
