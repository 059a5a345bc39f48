"""The commands as a user types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from metaloss.cli import app
from tests.conftest import Command

QUICK = ["--gin_param", "EPOCHS = 2", "--gin_param", "SEEDS = (0,)"]
FEW = ["--gin_param", "tasks.classification_task.subset = 200"]
GCE = ["--gin_param", "experiments.Experiment.methods = [@gce/experiments.Conventional()]"]
LEARNING = ["--gin_param", "experiments.Experiment.methods = [@a_gce/experiments.Adjusted()]"]


def test_demo_shows_the_table_and_writes_everything(run_main: Command, tmp_path: Path) -> None:
    code, output, errors = run_main("demo", "--out", "out", *QUICK, *FEW)
    assert code == 0, errors
    for name in ("CE", "GCE", "A-GCE", "recommended"):
        assert name in output
    assert "epoch 2/2" in errors  # a plain log, as this is no terminal
    assert "\x1b" not in output + errors
    assert "epoch" not in output.replace("last 2 epochs", "")  # how it goes is no result
    assert "results: out" in output and "results" not in errors
    out = tmp_path / "out"
    rows = json.loads((out / "results.json").read_text())["rows"]
    assert [row["method"] for row in rows] == ["CE", "GCE", "A-GCE", "recommended"]
    assert all(row["seeds"] == [0] and 0 <= row["accuracy_mean"] <= 100 for row in rows)
    assert (out / "hyperparameters.png").read_bytes().startswith(b"\x89PNG")
    assert "EPOCHS = 2" in (out / "config.gin").read_text()


@pytest.mark.exhaustive
def test_the_demo_without_clean_samples(run_main: Command, tmp_path: Path) -> None:
    code, _, errors = run_main("demo", "--no-clean", "--out", "out", *QUICK, *FEW, *LEARNING)
    assert code == 0, errors
    result = json.loads((tmp_path / "out" / "A-GCE" / "seed-0" / "result.json").read_text())
    assert result["meta_loss"] == "MAE()"


def test_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    invoke = CliRunner().invoke
    assert invoke(app, ["demo", "--out", "out", *QUICK, *FEW, *GCE]).exit_code == 0
    expected = (tmp_path / "out" / "results.json").read_text()
    for part in ("results.json", "GCE/seed-0/result.json"):
        (tmp_path / "out" / part).unlink()
    again = ["demo", "--out", "out", "--resume"]
    operative = (tmp_path / "out" / "operative.gin").read_text()
    assert invoke(app, [*again, *QUICK, *FEW, *GCE]).exit_code == 0
    assert (tmp_path / "out" / "operative.gin").read_text() == operative
    assert (
        json.loads((tmp_path / "out" / "results.json").read_text())["rows"]
        == (json.loads(expected)["rows"])
    )
    other = invoke(app, [*again, *FEW, *GCE, "--gin_param", "EPOCHS = 3"])
    differing = "expected `EPOCHS = 2`, `SEEDS = (0,)`, got `EPOCHS = 3`, `SEEDS = (0, 1, 2)`"
    assert f"got another: {differing}" in str(other.exception)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "nope.gin"], "nope.gin: expected a gin file"),
        (["train", __file__], "test_commands.py: expected a gin file, got Python code"),
        (["demo", "--gin_param", "NOISE_RATE = 1.5"], "expected a number in [0, 1], got 1.5"),
        (["demo", "--gin_param", "IN_CHANNELS = 3"], "[batch, 3, height, width]"),
        (["demo", "--gin_param", "NUM_CLASSES = 9"], "expected outputs [batch, 10]"),
        (
            ["demo", "--gin_param", "tasks.classification_task.batch_size = 5000"],
            "expected at most the 1337 samples",
        ),
        (
            ["demo", "--gin_param", "tasks.classification_task.num_meta = 1"],
            "meta: expected",
        ),
        (
            ["demo", "--gin_param", "tasks.classification_task.meta_from = 'shared'"],
            "expected a symmetric meta loss",
        ),
        (
            ["train", "experiments/fashion_mnist.gin", "--gin_param", "DATA = 'nowhere'"],
            "nowhere",
        ),
        (["train", "experiments/fashion_mnist.gin"], "DATA: required, got nothing"),
        (["demo", "--gin_param", "epochs = 3"], "did you mean EPOCHS?"),
        (["sweep", "experiments/demo.gin"], "metaloss train runs that of an experiment"),
        (["train", "reproduce/table1_smoke.gin"], "a grid of runs: metaloss sweep GRID.gin"),
        (["demo", "--gin_param", "IN_FEATURES = 3"], "a macro that the gin files use"),
        (
            ["demo", "--gin_param", "a_gc/experiments.Adjusted.detach = False"],
            "did you mean a_gce?",
        ),
        (
            ["demo", "--gin_param", "SEEDS = ('a',)"],
            "expected a whole number of at least 0, got 'a'",
        ),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    refused: Callable[..., str], arguments: list[str], message: str
) -> None:
    assert message in refused(*arguments, "--out", "out")


def test_a_folder_with_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("1")
    done = CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "out")])
    assert "expected a new or an empty folder" in str(done.exception)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["precious"]


def test_help_names_the_commands() -> None:
    shown = CliRunner().invoke(app, ["--help"]).stdout
    for command in ("demo", "train", "transfer", "bench", "check-grad"):
        assert command in shown


@pytest.mark.exhaustive
def test_names_with_brackets_are_shown_as_they_are(run_main: Command) -> None:
    name = "GCE [/q] [bold]"
    named = ["--gin_param", f"gce/experiments.Conventional.name = {name!r}"]
    code, shown, errors = run_main("demo", "--out", "o[bold]1", *QUICK, *FEW, *named, *GCE)
    assert code == 0, errors
    assert name in shown
    assert "results: o[bold]1" in shown


@pytest.mark.exhaustive
@pytest.mark.drawn
def test_names_in_any_script_and_with_signs_of_mathematics(
    run_main: Command, tmp_path: Path
) -> None:
    name = r"調整 a $\\nothing$ b"
    named = ["--gin_param", f"a_gce/experiments.Adjusted.name = '{name}'"]
    enough = ["--gin_param", "EPOCHS = 8"]  # fewer meta steps than these make are warned about
    code, _, errors = run_main("demo", "--out", "out", *QUICK, *named, *LEARNING, *enough)
    assert code == 0, errors
    assert "arning" not in errors
    assert (tmp_path / "out" / "hyperparameters.png").stat().st_size > 10_000
