"""A fit that Ctrl-C stops, and that goes on."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Command

LIMIT = 240  # seconds

# A shell in the background has its children ignore Ctrl-C.
PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from metaloss.cli import main
main()
"""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Dark and light images, a few of them in the wrong folder."""
    draw = np.random.default_rng(0)
    for at in range(24):
        pixels = draw.integers(0, 90, (12, 12, 3), dtype=np.uint8) + np.uint8(160 * (at % 2))
        place = tmp_path / "photos" / ("dark", "light")[(at + (at % 7 == 0)) % 2] / f"{at}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place)
    return tmp_path / "photos"


def started(*words: str, at: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words],
        cwd=at,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def without_times(path: Path) -> Any:
    """The content of a file, without seconds."""

    def stripped(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: stripped(each) for key, each in value.items() if "second" not in key}
        return [stripped(each) for each in value] if isinstance(value, list) else value

    if path.suffix == ".json":
        return stripped(json.loads(path.read_text()))
    if path.suffix == ".jsonl":
        return [stripped(json.loads(line)) for line in path.read_text().splitlines()]
    return path.read_bytes()


# The table and the page have the seconds of the training in them.
TIMED = {"report.html", "results.csv", "results.md", "results.tex", "results.png", "results.svg"}


def files_of(run: Path) -> dict[str, Any]:
    found = {str(path.relative_to(run)): path for path in run.rglob("*") if path.is_file()}
    return {name: without_times(path) for name, path in found.items() if path.name not in TIMED}


@pytest.mark.exhaustive
@pytest.mark.drawn
def test_a_fit_that_is_stopped_and_goes_on_ends_as_one_that_is_not(
    photos: Path, run_main: Command, tmp_path: Path
) -> None:
    words = ("fit", photos.name, "--epochs", "60", "--batch-size", "8", "--out")
    process = started(*words, "stopped", at=tmp_path)
    until = time.monotonic() + LIMIT
    while not list((tmp_path / "stopped").glob("*/seed-0/checkpoint.pt")):
        assert process.poll() is None and time.monotonic() < until, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    shown, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == 130, errors
    *_, last = errors.splitlines()
    command = "metaloss fit photos --epochs 60 --batch-size 8 --out stopped --resume"
    assert last == f"stopped; go on with: {command}"
    assert "Traceback" not in errors and "results" not in shown
    assert not (tmp_path / "stopped" / "labels.csv").exists()

    for again in (shlex.split(command)[1:], [*words, "whole"]):
        code, _, errors = run_main(*again)
        assert code == 0, errors
    one, other = files_of(tmp_path / "stopped"), files_of(tmp_path / "whole")
    assert one.keys() == other.keys() >= {"labels.csv", "labels.png", "config.gin"}
    assert [name for name in one if one[name] != other[name]] == []
    lines = one["recommended/seed-0/metrics.jsonl"]
    assert [line["epoch"] for line in lines] == list(range(1, 61))
