"""The program itself: its version, its names, completion in the shell."""

from __future__ import annotations

import importlib.metadata
import os
import runpy
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import metaloss
from metaloss.cli import app


def test_there_is_one_version() -> None:
    assert metaloss.__version__ == importlib.metadata.version("metaloss")
    shown = CliRunner().invoke(app, ["--version"])
    assert (shown.exit_code, shown.stdout) == (0, f"metaloss {metaloss.__version__}\n")


def test_python_runs_it_as_a_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["metaloss", "train", "nope.gin"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("metaloss", run_name="__main__")  # what python -m metaloss does
    assert ended.value.code == 2
    output, errors = capfd.readouterr()
    assert output == "" and errors.startswith("error: nope.gin: expected a gin file")


@pytest.mark.parametrize(("typed", "offered"), [("de", "demo"), ("check", "check-grad")])
def test_the_shell_completes_commands(typed: str, offered: str) -> None:
    asked = {
        "_METALOSS_COMPLETE": "complete_bash",
        "COMP_WORDS": f"metaloss {typed}",
        "COMP_CWORD": "1",
    }
    done = CliRunner().invoke(app, prog_name="metaloss", env={**os.environ, **asked})
    assert done.stdout.split() == [offered]
