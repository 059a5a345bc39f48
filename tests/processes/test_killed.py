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


def run(place: Path, rank: int, *moment: int) -> subprocess.CompletedProcess[str]:
    return script("tests.processes.killed", place, rank, *moment)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("rank", [0, 1])
def test_killed_at_some_moments(tmp_path: Path, rank: int) -> None:
    whole = run(tmp_path / "whole", rank)
    assert whole.returncode == 0, whole.stderr
    expected = files(tmp_path / "whole")
    kills = int(os.environ.get("KILLS", "1"))  # 15 for each process in a long run
    for moment in random.Random(rank).sample(range(1, int(whole.stdout) + 1), kills):
        place = tmp_path / f"killed-{moment}"
        stopped = run(place, rank, moment)
        assert stopped.returncode != 0
        resumed = run(place, rank)
        assert resumed.returncode == 0, resumed.stderr
        found = files(place)
        assert found.keys() == expected.keys(), moment
        assert [name for name in found if found[name] != expected[name]] == [], moment
