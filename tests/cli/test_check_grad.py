"""``metaloss check-grad`` as a user types it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from metaloss.cli import app

SMALL = ["check-grad", "experiments/demo.gin", "--batch", "6", "--directions", "2"]
OWN = """
from __gin__ import dynamic_registration
import own_model
from metaloss import experiments
include 'experiments/demo.gin'
experiments.Experiment.model = @own_model.Wrong
"""
WRONG = """
import torch
from torch import nn

class Wrong(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(64, 10)
        self.detour = Detour()
    def forward(self, x):
        return self.detour(self.body(x.flatten(1)))

class Detour(nn.Module):
    def forward(self, x):
        return torch.tanh(x) + x.detach()
"""


def test_the_demo_holds(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    done = CliRunner().invoke(app, [*SMALL, "--json", str(file)])
    assert done.exit_code == 0, done.output
    for words in ("A-GCE", "recommended", "mixed against unroll", "unroll against real training"):
        assert words in done.output
    written = json.loads(file.read_text())
    assert written["holds"] is True
    assert written["config"] == "experiments/demo.gin"
    assert list(written["methods"]) == ["A-GCE", "recommended"]
    for report in written["methods"].values():
        assert report["length"] > 0
        assert {check["status"] for check in report["checks"]} == {"ok"}
        assert all(check["error"] <= check["threshold"] for check in report["checks"])


def test_one_method_in_single_precision_before_any_step() -> None:
    options = ["--method", "A-GCE", "--dtype", "float32", "--steps-before", "0"]
    # Of six samples the GCE has so small a hypergradient that rounding shows in it.
    options += ["--gin_param", "META_LOSS = None"]
    done = CliRunner().invoke(app, [*SMALL, *options])
    assert done.exit_code == 0, done.output
    assert "recommended" not in done.output
    assert "5e-02" in done.output  # single precision's threshold


def test_bindings_are_read(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    options = ["--method", "A-GCE", "--gin_param", "experiments.Adjusted.detach = False"]
    steps = ["--gin_param", "Lookahead.steps = 2", "--json", str(file)]
    done = CliRunner().invoke(app, [*SMALL, *options, *steps])
    assert done.exit_code == 0, done.output
    assert "through 2 steps" in done.output
    assert json.loads(file.read_text())["methods"]["A-GCE"]["steps"] == 2


def test_what_does_not_hold_is_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "own.gin").write_text(OWN)
    (tmp_path / "own_model.py").write_text(WRONG)
    arguments = [*SMALL[:1], str(tmp_path / "own.gin"), *SMALL[2:], "--method", "A-GCE"]
    file = tmp_path / "found.json"
    done = CliRunner().invoke(app, [*arguments, "--json", str(file)])
    assert done.exit_code == 1, done.output
    assert "differs" in done.output
    assert "detour (Detour)" in done.output
    assert "neither forward mode nor backward is the derivative" in done.output
    report = json.loads(file.read_text())["methods"]["A-GCE"]
    (layer,) = report["layers"]
    assert (layer["name"], layer["followed_by"][0]) == ("body", "detour (Detour)")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--method", "GCE"], "expected one that learns (A-GCE, recommended), got 'GCE'"),
        (["--batch", "1"], "batch: expected a whole number of at least 2, got 1"),
        (["--steps-before", "-1"], "steps_before: expected a whole number of at least 0"),
        (["--directions", "0"], "directions: expected a whole number of at least 1, got 0"),
        (["--dtype", "float16"], "dtype: expected float64 or float32, got 'float16'"),
        (["--json", "nowhere/found.json"], "expected a file in a folder that exists"),
        (["--gin_param", "NUM_CLASSES = 9"], "expected outputs [batch, 10]"),
    ],
)
def test_bad_input_is_one_line(
    refused: Callable[..., str], options: list[str], message: str
) -> None:
    assert message in refused(*SMALL, *options)


TASKS = ["check-grad", "experiments/meta_digits.gin", "--batch", "6", "--directions", "1"]


def test_of_several_tasks_one_is_looked_at(tmp_path: Path) -> None:
    file, lengths = tmp_path / "found.json", []
    for chosen in ([], ["--task", "symmetric-0.2"], ["--task", "instance-0.6"]):
        arguments = [*TASKS, *chosen, "--method", "A-GCE", "--json", str(file)]
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
        lengths.append(json.loads(file.read_text())["methods"]["A-GCE"]["length"])
    assert lengths[0] == lengths[1] != lengths[2]  # the first one, if none is named


def test_a_task_that_is_not_there(refused: Callable[..., str]) -> None:
    message = refused(*TASKS, "--task", "symmetric-0.9")
    assert "task: expected one of symmetric-0.2, symmetric-0.4" in message
    assert message.rstrip().endswith("got 'symmetric-0.9'")
    one = refused(*SMALL, "--task", "digits")
    assert "task: expected none, since there is only one, got 'digits'" in one
