"""A run that is killed and resumed leaves the files of a run that was never stopped."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from metaloss.files import is_part

TIMES = {"seconds", "samples_per_second"}


def killed(place: Path, *words: str) -> dict[str, tuple[str, list[str]]]:
    """Kill a run at some moments and resume it; return each moment and the temporary files left."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.helpers.kills", str(place), *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {number: (name, left) for number, (name, left) in json.loads(done.stdout).items()}


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


def check(place: Path, moments: dict[str, tuple[str, list[str]]], last_seed: str = "1") -> None:
    whole = files(place / "whole/run")
    assert f"A-GCE/seed-{last_seed}/adjuster/card.json" in whole and "operative.gin" in whole
    assert not any(is_part(Path(name)) or "checkpoint" in name for name in whole)
    for number, (name, _) in moments.items():
        ours = files(place / f"killed-{number}/run")
        assert ours.keys() == whole.keys(), (name, ours.keys() ^ whole.keys())
        assert [each for each in ours if ours[each] != whole[each]] == [], name


WRITES = [
    "after mkstemp operative.gin",
    "before turn ",
    "before replace checkpoint.pt",
    "after replace samples-epoch-2.safetensors",
    "after mkstemp adjuster.safetensors",
    "before replace card.json",
    "before unlink checkpoint-before.pt",
    "after replace result.json",
    "before replace results.json",
]
FEW = ["before replace checkpoint.pt", "before unlink checkpoint-before.pt"]


@pytest.mark.parametrize(
    ("chosen", "seeds"),
    [(FEW, "0"), pytest.param(WRITES, "0,1", marks=pytest.mark.exhaustive)],
    ids=["few", "all"],
)
def test_killed_at_a_write(chosen: list[str], seeds: str, tmp_path: Path) -> None:
    moments = killed(tmp_path, "no pictures", seeds, *chosen)
    check(tmp_path, moments, seeds[-1])
    left = [file for _, parts in moments.values() for file in parts]
    for name in ("operative.gin", "checkpoint.pt", "card.json", "results.json"):
        if any(moment.endswith(f"replace {name}") for moment in chosen):
            assert any(file.startswith(f".{name}.") for file in left), left


@pytest.mark.exhaustive
@pytest.mark.timeout(1800)
def test_killed_at_any_moment(tmp_path: Path) -> None:
    kills = os.environ.get("KILLS", "5")  # 30 in a long run
    check(tmp_path, killed(tmp_path, "pictures", "0,1", f"random:{kills}:0"))
