"""A process of a run of two is killed; the resumed run leaves the files of one never stopped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.experiments.test_killed import files
from tests.helpers.processes import script


@pytest.mark.exhaustive
@pytest.mark.timeout(3600)
def test_killed_at_some_moments(tmp_path: Path) -> None:
    kills = int(os.environ.get("KILLS", "1"))  # of each process; 15 in a long run
    ended = script("tests.processes.killed", tmp_path, kills, timeout=3600)
    assert ended.returncode == 0, ended.stderr
    expected = files(tmp_path / "whole")
    resumed = [place for place in tmp_path.glob("killed-*") if place.is_dir()]
    assert len(resumed) == 2 * kills
    for place in resumed:
        found = files(place)
        assert found.keys() == expected.keys(), place
        assert [name for name in found if found[name] != expected[name]] == [], place
