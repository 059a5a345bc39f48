"""A process of a run of two is killed; the resumed run leaves the files of one never stopped."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest

from tests.experiments.test_killed import files
from tests.helpers.processes import script

pytestmark = pytest.mark.exhaustive


def run(place: Path, *kill: int) -> subprocess.CompletedProcess[str]:
    return script("tests.processes.killed", place, *kill)


@pytest.mark.timeout(3600)
def test_killed_at_some_moments(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    expected = files(tmp_path / "whole")
    moments = dict(map(int, line.split()) for line in whole.stdout.splitlines())
    kills = int(os.environ.get("KILLS", "1"))  # of each process; 15 in a long run
    for rank in (0, 1):
        for moment in random.Random(rank).sample(range(1, moments[rank] + 1), kills):
            place = tmp_path / f"killed-{rank}-{moment}"
            stopped = run(place, rank, moment)
            assert stopped.returncode != 0
            resumed = run(place)
            assert resumed.returncode == 0, resumed.stderr
            found = files(place)
            assert found.keys() == expected.keys(), moment
            assert [name for name in found if found[name] != expected[name]] == [], moment
