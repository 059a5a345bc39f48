"""Runs of a grid in this process: what is made, kept, refused and reported."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from metaloss.checks import InputError
from metaloss.experiments import RunFolder
from metaloss.experiments.tables.score_table import Published
from metaloss.sweeps import Grid, Local, Sweep, local
from tests.sweeps.grids import CE, GCE, MISFIT, Heard, grid


def result(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("*/seed-*/result.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_every_run_is_made_once_and_its_score_is_in_the_table(tmp_path: Path) -> None:
    sweep, heard = Sweep(grid(title="Title"), tmp_path / "out"), Heard()
    assert sweep.run(Local(heard)) == []
    assert heard.begun[0] == "[1/8] 20%, CE, seed 0"
    assert len(heard.begun) == 8
    table = sweep.table()
    assert table is not None
    assert (table.methods, table.tasks) == (["CE", "GCE"], ["20%", "40%"])
    for method in table.methods:
        for task, folder in (("20%", "20"), ("40%", "40")):
            for seed in (0, 1):
                own = result(tmp_path / "out" / folder / method / f"seed-{seed}")
                assert table.scores[method, task][seed] == own["accuracy"]
                assert own["seed"] == seed
    assert table.title == "Title: Test accuracy (%), last epoch"


def test_finished_runs_are_kept_and_stopped_ones_go_on(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        Sweep(grid(seeds=(0,)), tmp_path / "out").run(Local(Heard(stop_after=1)))
    again = Sweep(grid(seeds=(0,)), tmp_path / "out")
    assert len(again.unfinished) == 3
    heard = Heard()
    again.run(Local(heard))
    assert len(heard.begun) == 3
    assert Sweep(grid(seeds=(0,)), tmp_path / "out").unfinished == []


def test_a_folder_is_of_one_grid_to_which_values_may_be_added(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def runs(made: Grid) -> None:
        assert Sweep(made, out).run(lambda jobs: []) == []

    runs(grid(seeds=(0,)))
    runs(grid({"CE": CE, "GCE": GCE, "misfit": MISFIT}, seeds=(0, 1)))
    other = replace(grid(seeds=(0,)), axes={"method": {"CE": CE}})
    with pytest.raises(InputError) as error:
        runs(other)
    assert str(error.value) == (
        f"{out}: expected the folder of a grid of smoke_digits.gin with the axes method, found one "
        "of smoke_digits.gin with the axes noise, method; give each grid a folder of its own"
    )


def test_a_run_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    broken = grid({"misfit": MISFIT, "GCE": GCE}, seeds=(0,))
    sweep, heard = Sweep(broken, tmp_path / "out"), Heard()
    failed = sweep.run(Local(heard))
    assert [outcome.job.name for outcome in failed] == [
        "20%, misfit, seed 0",
        "40%, misfit, seed 0",
    ]
    assert "model" in failed[0].error
    assert any(failed[0].error in line for line in heard.warned)  # other runs follow
    (last,) = [job for _, job in sweep.runs if job.name == "40%, misfit, seed 0"]
    list(Local(silent := Heard())([last]))
    assert silent.warned == []  # what nothing follows is said in the end alone
    report = tmp_path / "out" / "errors" / "20-misfit-seed-0.txt"
    assert "Traceback" in report.read_text()
    table = sweep.table()
    assert table is not None and table.methods == ["misfit", "GCE"]
    assert table.cell("misfit", "20%") is None

    mended = Sweep(grid({"misfit": CE, "GCE": GCE}, seeds=(0,)), tmp_path / "out")
    assert mended.run(Local()) == []
    assert not report.exists()


def test_another_run_in_the_folder_is_refused_and_kept(tmp_path: Path) -> None:
    one = grid({"CE": CE}, seeds=(0,))
    Sweep(one, tmp_path / "out").run(Local())
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*") if path.is_file()}
    other = Sweep(one, tmp_path / "out", ["EPOCHS = 2"])
    failed = other.run(Local())
    assert "another run was begun here: expected tasks.digits.recipe.epochs 2, got 1" in (
        failed[0].error
    )
    assert other.table() is None
    assert {path: path.read_bytes() for path in before} == before
    same = Sweep(one, tmp_path / "out")
    assert same.unfinished == []


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir()
    with pytest.raises(InputError, match="expected a new folder or that of a grid, found cats of"):
        Sweep(grid({"CE": CE}, seeds=(0,)), tmp_path).run(Local())
    assert [path.name for path in tmp_path.iterdir()] == ["cats"]


@pytest.mark.parametrize("name", ["config.gin", "results.json"])
def test_the_results_of_another_command_are_refused_and_kept(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("of a training")
    with pytest.raises(InputError, match=rf"new folder or that of a grid, found {name} of another"):
        Sweep(grid({"CE": CE}, seeds=(0,)), tmp_path).run(Local())
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "of a training"


def test_a_configuration_that_says_the_same_in_other_words_is_the_same_run(tmp_path: Path) -> None:
    one = grid({"CE": CE}, seeds=(0,))
    Sweep(one, tmp_path / "out").run(Local())
    reworded = Sweep(one, tmp_path / "out", ["META_EVERY = 1", "COMPILE = None", "DEVICE = 'cpu'"])
    assert len(reworded.unfinished) == 2
    heard = Heard()
    assert reworded.run(Local(heard)) == []
    assert heard.begun == []  # nothing was trained
    assert reworded.unfinished == []


def test_placeholders_in_bindings(tmp_path: Path) -> None:
    named = grid({"CE": CE}, seeds=(0,), bindings=["tasks.classification_task.name = '{out}/{x}'"])
    sweep = Sweep(named, tmp_path / "out", places={"x": "letters"})
    (job, _) = (job for _, job in sweep.runs)
    assert f"'{tmp_path}/out/letters'" in job.text.replace("\\\n", "").replace("' '", "")


@pytest.mark.parametrize(
    ("methods", "said"),
    [
        ({"CE": CE, "copy": CE}, "20%, copy, seed 0: expected a run of its own, got the conf"),
        ({"CE": ["losses/none.gin"]}, "20%, CE, seed 0: losses/none.gin: expected a gin file"),
        ({"CE": [*CE, "EPOCS = 3"]}, "20%, CE, seed 0: "),
        ({"all": []}, "20%, all, seed 0: expected one method a run, got 10"),
        ({"CE": [*CE, "tasks.classification_task.name = '{name}'"]}, "for {name}, got nothing"),
    ],
)
def test_impossible_runs_are_refused_before_any_run(
    tmp_path: Path, methods: dict[str, list[str]], said: str
) -> None:
    with pytest.raises(InputError) as refused:
        Sweep(grid(methods), tmp_path / "out")
    assert said in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_other_seeds_than_the_grids_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected the grid's seed, 0, got \(7,\); set the seeds"):
        Sweep(grid(), tmp_path / "out", ["SEEDS = (7,)"])


def test_runs_that_are_neither_chosen_nor_finished_are_not_parsed(tmp_path: Path) -> None:
    broken = {"CE": CE, "GCE": ["losses/none.gin"]}
    with pytest.raises(InputError, match=r"losses/none\.gin"):
        Sweep(grid(broken, seeds=(0,)), tmp_path / "out")
    sweep = Sweep(grid(broken, seeds=(0,)), tmp_path / "out", only={"method": ["CE"]})
    assert sweep.run(Local()) == []
    table = sweep.table()
    assert table is not None and set(table.scores) == {("CE", "20%"), ("CE", "40%")}
    # A folder of what these settings cannot be is not among the results.
    left = tmp_path / "out" / "20" / "GCE" / "seed-0"
    shutil.copytree(tmp_path / "out" / "20" / "CE" / "seed-0", left)
    assert (again := sweep.table()) is not None and again.scores == table.scores


def test_what_another_process_finished_meanwhile_is_in_the_table(tmp_path: Path) -> None:
    one, other = (
        Sweep(grid(seeds=(0,)), tmp_path / "out", only={"method": [name], "noise": ["20%"]})
        for name in ("CE", "GCE")
    )
    one.run(Local())
    other.run(Local())
    table = one.table()
    assert table is not None and set(table.scores) == {("CE", "20%"), ("GCE", "20%")}


def test_a_run_that_another_process_makes_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = Sweep(grid({"CE": CE, "GCE": GCE}, seeds=(0,)), tmp_path / "out")
    first = sweep.runs[0][1]
    other = RunFolder(first.folder)
    held = other.__enter__()
    held.begin()

    def finished(_: float) -> None:  # the other process ends, while this one waits
        other.__exit__(None, None, None)
        first.run()

    monkeypatch.setattr(local, "time", SimpleNamespace(sleep=finished))
    heard = Heard()
    assert sweep.run(Local(heard)) == []
    assert heard.warned == [f"{first.name}: another process makes this run"]
    assert sweep.unfinished == []


def test_a_program_of_its_own_says_that_the_folder_is_in_use_or_where_it_failed(
    tmp_path: Path,
) -> None:
    sweep = Sweep(grid({"CE": CE, "misfit": MISFIT}, seeds=(0,)), tmp_path / "out")
    used, misfit, *_ = (replace(job, processes=2) for _, job in sweep.runs)
    with RunFolder(used.folder) as other:
        other.begin()
        outcome = local.attempt(used)
    assert outcome.in_use and f"got one in use by process {os.getpid()}" in outcome.error
    outcome = local.attempt(misfit)
    assert not outcome.in_use and outcome.error.startswith("model: ")
    assert "in dry_run" in outcome.details  # a function that only the program calls


def test_an_oracle_is_not_the_best(tmp_path: Path) -> None:
    oracle = [
        "losses/gce.gin",
        "experiments.Experiment.methods = [@oracle_gce/experiments.Oracle()]",
    ]
    sweep = Sweep(grid({"CE": CE, "oracle": oracle}, seeds=(0,)), tmp_path / "out", ["EPOCHS = 4"])
    sweep.run(Local())
    table = sweep.table(published={("CE", "40%"): Published(60.0, 0.5)})
    assert table is not None
    best, known = table.cell("CE", "40%"), table.cell("oracle", "40%")
    assert best is not None and known is not None
    assert known.mean > best.mean
    assert (best.mark, known.mark) == ("best", "")
    assert best.difference == pytest.approx(best.mean - 60.0)


@pytest.mark.exhaustive
def test_runs_of_several_processes(tmp_path: Path) -> None:
    two = ["engines/fabric.gin", "training.FabricEngine.devices = 2"]
    own = grid(axes={"method": {"CE": [*CE, *two]}}, seeds=(0,))
    sweep = Sweep(own, tmp_path / "out")
    assert sweep.run(Local(Heard())) == []
    assert sweep.table() is not None
    failing = grid(axes={"method": {"CE": [*CE, *two, *MISFIT]}}, seeds=(0,))
    (failed,) = Sweep(failing, tmp_path / "other").run(Local(Heard()))
    assert "expected" in failed.error


def test_the_title_is_of_every_run(tmp_path: Path) -> None:
    lengths = {"short": ["EPOCHS = 1"], "long": ["EPOCHS = 2"]}
    axes = {"length": lengths, "method": {"CE": CE}}
    sweep = Sweep(grid(axes=axes, seeds=(0,), bindings=[]), tmp_path / "out")
    assert sweep.run(Local(Heard())) == []
    table = sweep.table()
    assert table is not None and table.title == "Test accuracy (%), last epochs"
