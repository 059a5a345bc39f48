"""Run the tests of the one file that differs from the last commit, the nearest ones first."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ALL = {
    "metaloss/losses": ["tests/losses", "tests/test_theory.py"],
    "metaloss/conditioners": ["tests/conditioners", "tests/objective"],
    "metaloss/bilevel": ["tests/bilevel"],
    "tasks": ["tests/tasks"],
}


def rounds(changed: Path) -> list[list[str]]:
    """Return what to run, one after the other, until a test fails."""
    of = next(folder for folder in ALL if changed.is_relative_to(folder))
    near = sorted(map(str, Path(ALL[of][0]).rglob(f"test_*{changed.stem}*.py")))
    slopes = [f"tests/bilevel/test_{name}.py" for name in ("lookback", "hypergradient")]
    return [near, *([slopes] if of.endswith("bilevel") else []), ALL[of]]


def run(groups: Iterable[list[str]]) -> int:
    """Run the tests of each group until one fails; return the exit code of the last."""
    quiet = ["-o", "addopts=", "-q", "-x", "-p", "no:cacheprovider", "-m", "not exhaustive"]
    settings = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    for files in filter(None, groups):
        command = [sys.executable, "-m", "pytest", *quiet, *files]
        if code := subprocess.run(command, check=False, env=settings).returncode:
            return code
    return 0


if __name__ == "__main__":
    words = ["git", "diff", "--name-only"]
    (changed,) = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    sys.exit(run(rounds(Path(changed))))
