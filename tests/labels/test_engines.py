"""Runs of several processes, whose labels are judged by one."""

from __future__ import annotations

from pathlib import Path

from tests.labels.runs import CE, invoke, rows_of, train

DEVICES = "training.FabricEngine.devices = {}"


def test_a_run_of_two_processes_is_judged_by_this_one(tmp_path: Path) -> None:
    changes = (
        CE,
        "tasks.classification_task.subset = 200",
        "EPOCHS = 1",
        "PRECISION = 'bf16-mixed'",
    )
    files = ["models/mlp.gin", "engines/fabric.gin"]
    place = train(
        tmp_path / "run", "experiments/demo.gin", *changes, DEVICES.format(1), files=files
    )
    config = place / "config.gin"
    config.write_text(config.read_text().replace(DEVICES.format(1), DEVICES.format(2)))
    assert DEVICES.format(2) in config.read_text()
    done = invoke("labels", place, "--folds", 2)
    assert done.exit_code == 0, done.output
    assert len(rows_of(place / "labels.csv")) == 200
