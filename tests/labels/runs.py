"""Runs whose labels are judged, and the command."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from typer.testing import CliRunner, Result

from metaloss.checks import InputError
from metaloss.cli import app

GCE = "experiments.Experiment.methods = [@gce/experiments.Conventional()]"
CE = "experiments.Experiment.methods = [@ce/experiments.Conventional()]"
NO_NOISE = "tasks.classification_task.noise = None"


def invoke(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "100"})


def train(place: Path, config: object, *bindings: str, files: Sequence[str] = ()) -> Path:
    params = [word for binding in bindings for word in ("--gin_param", binding)]
    more = [word for file in files for word in ("--gin_file", file)]
    done = invoke("train", config, "--out", place, *more, *params, "--gin_param", "SEEDS = (0,)")
    assert done.exit_code == 0, done.output
    return place


def refusal(*words: object) -> str:
    done = invoke("labels", *words)
    assert isinstance(done.exception, InputError), done.output
    return str(done.exception)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
