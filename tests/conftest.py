"""Fixtures of all tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import jaxtyping
import pytest
import torch
import typer.main
import typer.testing

import tests.helpers.typechecked  # noqa: F401 - named in pyproject.toml, which does not import it
from metaloss.cli import main
from tests.helpers import undrawn

# The tensors of the tests are small, so that more threads would only slow one another down.
torch.set_num_threads(1)
# What a process has written others see without waiting for the disk; only power cuts differ.
os.fsync = lambda file: None
# Each call of a command would make all commands anew, which takes longer than many of them do.
typer.main.get_command = typer.testing._get_command = cache(typer.main.get_command)


WITH_PAGES = "report"  # the folder whose tests read pages; those marked drawn do too


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Choose whether pictures are drawn, and whether types are checked if they are at all."""
    marks, folders = {mark.name for mark in item.iter_markers()}, set(item.path.parts)
    jaxtyping.config.update("jaxtyping_disable", "bad_input" in marks)
    drawn = "drawn" in marks
    undrawn.choose(pictures=drawn, pages=drawn or WITH_PAGES in folders)


@pytest.fixture(autouse=True)
def _same_random_numbers() -> None:
    # torch.manual_seed takes milliseconds: it also seeds devices that are not there.
    torch.default_generator.manual_seed(0)


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run_main(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    """From the words of a command to its exit code, its output and its errors."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["metaloss", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        written = capfd.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), written.out, written.err

    return run


@pytest.fixture
def refused(run_main: Command, tmp_path: Path) -> Callable[..., str]:
    """Return a function that runs a command with bad input, and returns its line of error."""

    def run(*words: str) -> str:
        before = set(tmp_path.iterdir())
        code, output, errors = run_main(*words)
        assert (code, output) == (2, "")
        (line,) = errors.splitlines()
        assert line.startswith("error: ")
        assert " at 0x" not in line and "In call to" not in line
        assert set(tmp_path.iterdir()) == before
        return line

    return run
