"""Warnings point at the user's line."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

import metaloss
from metaloss.users_code import is_users, warn


@pytest.mark.parametrize(
    "file", [metaloss.__file__, torch.__file__, warnings.__file__, pytest.__file__, "<frozen os>"]
)
def test_installed_code_is_not_the_users(file: str) -> None:
    assert not is_users(file)


def test_a_project_inside_of_its_virtual_environment_is_the_users() -> None:
    assert is_users(str(Path(sys.prefix) / "train.py"))
    assert is_users(str(Path(sys.prefix) / "project" / "train.py"))


def test_a_warning_names_the_users_file() -> None:
    criterion = metaloss.from_pretrained("gce")
    logits = torch.zeros(2, 3, requires_grad=True)
    with pytest.warns(UserWarning, match="given no total_steps") as caught:
        criterion(logits, torch.tensor([0, 1]))
    assert caught[0].filename == __file__


def test_a_category_is_kept() -> None:
    with pytest.warns(RuntimeWarning, match="^left out$") as caught:
        warn("left out", RuntimeWarning)
    assert caught[0].filename == __file__


def test_without_a_file_of_the_user_it_is_the_callers_line() -> None:
    code = "from metaloss.users_code import warn; warn('left out')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.startswith("<string>:1: UserWarning: left out")
