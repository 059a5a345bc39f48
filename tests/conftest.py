"""What all tests share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import jaxtyping
import pytest
import torch

import tests.helpers.typechecked  # noqa: F401 - named in pyproject.toml, which does not import it
from metaloss.cli import main

# The tests' tensors are small: threads would only get in one another's way.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _types_checked_unless_bad(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shapes are checked as types in every test, but for those that hand in bad ones on purpose."""
    if request.node.get_closest_marker("bad_input"):
        monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture(autouse=True)
def _same_numbers_every_time() -> None:
    torch.manual_seed(0)


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """From the words of a command that cannot be carried out to the one line that it says."""

    def run(*words: str) -> str:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["metaloss", *words])
        with pytest.raises(SystemExit) as stopped:
            main()
        assert stopped.value.code == 2
        written = capfd.readouterr()
        assert written.out == ""
        (line,) = written.err.splitlines()
        assert line.startswith("error: ")
        assert " at 0x" not in line and "In call to" not in line
        assert list(tmp_path.iterdir()) == []
        return line

    return run
