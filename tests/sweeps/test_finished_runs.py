"""Which finished runs a sweep keeps, and which its table has."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from metaloss.sweeps import Local, Sweep
from tests.sweeps.grids import CE, Heard, grid


def test_a_damaged_result_is_written_anew_without_training(tmp_path: Path) -> None:
    one = grid({"CE": CE}, seeds=(0,))
    Sweep(one, tmp_path / "out").run(Local())
    damaged = tmp_path / "out" / "20" / "CE" / "seed-0" / "results.json"
    before = damaged.read_text()
    damaged.write_text("{}")
    again, heard = Sweep(one, tmp_path / "out"), Heard()
    assert [job.name for _, job in again.unfinished] == ["20%, CE, seed 0"]
    assert again.run(Local(heard)) == []
    assert heard.begun == []
    assert json.loads(damaged.read_text())["rows"] == json.loads(before)["rows"]


def test_damaged_files_of_a_run_do_not_stop_the_others(tmp_path: Path) -> None:
    Sweep(grid(seeds=(0,)), tmp_path / "out").run(Local())
    runs = tmp_path / "out" / "20"
    (runs / "GCE" / "seed-0" / "config.gin").write_bytes(b"\xff")
    (runs / "CE" / "seed-0" / "results.json").write_text('{"rows": [{}], "last": 1}')
    again = Sweep(grid(seeds=(0,)), tmp_path / "out")
    assert [job.name for _, job in again.unfinished] == ["20%, CE, seed 0", "20%, GCE, seed 0"]
    again.run(Local())
    table = again.table()
    assert table is not None and ("CE", "20%") in table.scores and ("GCE", "40%") in table.scores


def test_the_table_has_finished_runs_whose_data_has_moved(tmp_path: Path) -> None:
    name = "tasks.classification_task.name = 'in {data}, as it was when this run was made'"
    of_place = grid(seeds=(0,), bindings=["EPOCHS = 1", name])
    Sweep(of_place, tmp_path / "out", only={"noise": ["20%"]}, places={"data": "/a"}).run(Local())
    shutil.move(tmp_path / "out", tmp_path / "moved")
    only, places = {"method": ["CE"], "noise": ["40%"]}, {"data": "/a longer folder"}
    sweep = Sweep(of_place, tmp_path / "moved", only=only, places=places)
    sweep.run(Local())
    table, left_out = sweep.gather()
    assert table is not None
    assert set(table.scores) == {("CE", "20%"), ("GCE", "20%"), ("CE", "40%")}
    assert left_out == []


def test_finished_runs_of_other_settings_are_named(tmp_path: Path) -> None:
    Sweep(grid(seeds=(0,)), tmp_path / "out", only={"noise": ["20%"]}).run(Local())
    bindings = ["EPOCHS = 2", "DATA='/a folder of this machine'"]
    used = grid(seeds=(0,), bindings=["tasks.classification_task.name = %DATA"])
    sweep = Sweep(used, tmp_path / "out", bindings, only={"noise": ["40%"]})
    sweep.run(Local())
    table, left_out = sweep.gather()
    assert table is not None and set(table.scores) == {("CE", "40%"), ("GCE", "40%")}
    assert table.title == "EPOCHS = 2: Test accuracy (%), mean of the last 2 epochs"
    assert left_out == ["20%, CE, seed 0", "20%, GCE, seed 0"]


def test_the_table_has_finished_runs_that_were_not_chosen(tmp_path: Path) -> None:
    Sweep(grid(seeds=(0,)), tmp_path / "out", only={"method": ["CE"]}).run(Local())
    sweep = Sweep(grid(seeds=(0,)), tmp_path / "out", only={"method": ["GCE"], "noise": ["20%"]})
    sweep.run(Local())
    table = sweep.table()
    assert table is not None
    assert set(table.scores) == {("CE", "20%"), ("CE", "40%"), ("GCE", "20%")}
    assert (table.methods, table.tasks) == (["CE", "GCE"], ["20%", "40%"])
