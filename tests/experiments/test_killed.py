"""A run that is killed and resumed leaves the files of a run that was never stopped."""

from __future__ import annotations

import json
import os
import random
import re
import signal
from pathlib import Path
from typing import Any

import pytest
import scipy.stats  # noqa: F401 - which a run imports at its end: once here, not in each child

from metaloss.files import is_part
from tests.helpers.kills import Moments, forked

# The children end without using what other threads of this process may hold.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.* is multi-threaded, use of fork:DeprecationWarning"
)
TIMES = {"seconds", "samples_per_second"}

Left = dict[int, tuple[str, list[str]]]


def killed(place: Path, chosen: list[str] | int, *how: object) -> Left:
    """Kill a run at some moments and resume it; return each moment and the temporary files left.

    Args:
        place: where the runs are made.
        chosen: the names of the moments, or how many are drawn.
        how: whether pictures are drawn, and the seeds.
    """
    assert forked(place / "whole/run", Moments(), *how) == 0
    names = json.loads((place / "whole/moments.json").read_text())
    if isinstance(chosen, int):
        numbers = sorted(random.Random(0).sample(range(1, len(names) + 1), chosen))
    else:
        numbers = [1 + names.index(name) for name in chosen]
    left = {}
    for number in numbers:
        path, name = place / f"killed-{number}/run", names[number - 1]
        assert os.WTERMSIG(forked(path, Moments(number), *how)) == signal.SIGKILL, name
        left[number] = (name, [file.name for file in path.rglob("*.part")])
        assert forked(path, Moments(), *how) == 0, name
    return left


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(each) for key, each in value.items() if key not in TIMES}
    return [without_times(each) for each in value] if isinstance(value, list) else value


def content(path: Path) -> Any:
    """A file's bytes, or what it holds besides times."""
    if path.suffix in {".json", ".jsonl"}:
        lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        return [without_times(json.loads(line)) for line in lines]
    if path.suffix == ".html":
        return re.sub(
            r"[\d.,]+( s\b| seconds|</td>)", "", path.read_text().replace(str(path.parent), "run")
        )
    return path.read_bytes()


def files(run: Path) -> dict[str, Any]:
    every = sorted(path for path in run.rglob("*") if path.is_file())
    return {str(path.relative_to(run)): content(path) for path in every}


def check(place: Path, moments: Left, last_seed: str = "1") -> None:
    whole = files(place / "whole/run")
    assert f"A-GCE/seed-{last_seed}/adjuster/card.json" in whole and "operative.gin" in whole
    assert not any(is_part(Path(name)) or "checkpoint" in name for name in whole)
    for number, (name, _) in moments.items():
        ours = files(place / f"killed-{number}/run")
        assert ours.keys() == whole.keys(), (name, ours.keys() ^ whole.keys())
        assert [each for each in ours if ours[each] != whole[each]] == [], name


WRITES = [
    "after _create operative.gin",
    "before turn ",
    "before replace checkpoint.pt",
    "after replace samples-epoch-2.safetensors",
    "after _create adjuster.safetensors",
    "before replace card.json",
    "before unlink checkpoint-before.pt",
    "after replace result.json",
    "before replace results.json",
]
FEW = ["before replace checkpoint.pt", "before unlink checkpoint-before.pt"]


@pytest.mark.parametrize(
    "chosen", [FEW, pytest.param(WRITES, marks=pytest.mark.exhaustive)], ids=["few", "all"]
)
def test_killed_at_a_write(chosen: list[str], tmp_path: Path) -> None:
    moments = killed(tmp_path, chosen, False, "0")
    check(tmp_path, moments, last_seed="0")
    left = [file for _, parts in moments.values() for file in parts]
    for name in ("operative.gin", "checkpoint.pt", "card.json", "results.json"):
        if any(moment.endswith(f"replace {name}") for moment in chosen):
            assert any(file.startswith(f".{name}.") for file in left), left


@pytest.mark.exhaustive
@pytest.mark.drawn
@pytest.mark.timeout(1800)
def test_killed_at_any_moment(tmp_path: Path) -> None:
    kills = int(os.environ.get("KILLS", "3"))  # 30 in a long run
    check(tmp_path, killed(tmp_path, kills, True, "0,1"))
