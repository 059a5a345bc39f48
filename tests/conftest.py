"""Fixtures of all tests."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import jaxtyping
import pytest
import torch

import tests.helpers.typechecked  # noqa: F401 - named in pyproject.toml, which does not import it
from metaloss import runner
from metaloss.cli import main

# The tensors of the tests are small, so that more threads would only slow one another down.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _types_checked_unless_bad(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check shapes and dtypes in every test, except where wrong ones are passed on purpose."""
    if request.node.get_closest_marker("bad_input"):
        monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture(autouse=True)
def _reports_in_their_own_tests_alone(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Draw no page at the end of a run, which takes a second or two, except in tests/report."""
    if "report" not in request.path.parts:
        monkeypatch.setattr(runner, "write_report", lambda folders, components: "not drawn")


@pytest.fixture(autouse=True)
def _same_random_numbers() -> None:
    # torch.manual_seed takes milliseconds: it also seeds devices that are not there.
    torch.default_generator.manual_seed(0)


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Return a function that runs a command with bad input, and returns its line of error."""

    def run(*words: str) -> str:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["metaloss", *words])
        before = set(tmp_path.iterdir())
        with pytest.raises(SystemExit) as stopped:
            main()
        assert stopped.value.code == 2
        written = capfd.readouterr()
        assert written.out == ""
        (line,) = written.err.splitlines()
        assert line.startswith("error: ")
        assert " at 0x" not in line and "In call to" not in line
        assert set(tmp_path.iterdir()) == before
        return line

    return run
