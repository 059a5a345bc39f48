"""Fixtures of all tests."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import jaxtyping
import pytest
import torch

import tests.helpers.typechecked  # noqa: F401 - named in pyproject.toml, which does not import it
from metaloss.cli import main
from tests.helpers import undrawn

# The tensors of the tests are small, so that more threads would only slow one another down.
torch.set_num_threads(1)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Draw nothing, except in the tests of pictures: it would take half of the time of a run."""
    of_pictures = {"report", "diagnostics"} & set(item.path.parts)
    undrawn.choose(drawn=bool(of_pictures) or item.get_closest_marker("drawn") is not None)


@pytest.fixture(autouse=True)
def _types_checked_unless_bad(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check shapes and dtypes in every test, except where wrong ones are passed on purpose."""
    if request.node.get_closest_marker("bad_input"):
        monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


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
