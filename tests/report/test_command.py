"""The command, what ``metaloss train`` does with it, and the page in a browser."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from metaloss import runner
from metaloss.cli import app
from metaloss.experiments.records.labels_file import Doubtful, DoubtfulLabels, to_json
from metaloss.labels.thumbnails import data_uri
from metaloss.report import write_report
from tests.report.conftest import Copy

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
SMALL = ("EPOCHS = 2", "MILESTONES = ()", "SEEDS = (0,)", "META_EVERY = 4")
BINDINGS = [word for each in SMALL for word in ("--gin_param", each)]


def test_the_command_writes_the_page(made: Copy, tmp_path: Path) -> None:
    words = ["report", str(made("values")), "--out", str(tmp_path / "page.html")]
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, done.stdout) == (0, f"report: {tmp_path / 'page.html'}\n")
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")


def test_training_ends_with_a_report(tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = CliRunner().invoke(
        app, ["train", "experiments/diabetes.gin", "--out", str(out), *BINDINGS]
    )
    assert done.exit_code == 0
    assert f"report: {out / 'report.html'}\n" in done.stdout
    assert "Test mean absolute error" in done.stdout
    assert "A-Barron" in (out / "report.html").read_text()


def test_a_report_that_fails_does_not_fail_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> Path:
        raise RuntimeError("no\nroom")

    monkeypatch.setattr(runner, "write_report", broken)
    words = ["train", "experiments/diabetes.gin", "--out", str(tmp_path / "run"), *BINDINGS]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0 and "results: " in done.stdout
    assert "warning: the report could not be written: no room\n" in done.stderr


@pytest.mark.drawn
@pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
@pytest.mark.parametrize(
    ("kind", "pictures"),
    [("values", 0), pytest.param("classes", 24, marks=pytest.mark.exhaustive)],
)
def test_a_browser_shows_the_page_and_it_does_not_scroll_sideways(
    copied, tmp_path: Path, kind: str, pictures: int
) -> None:
    run = copied(kind)
    sample = Doubtful("a/" + 40 * "long", "given", 40 * "suggested", 0.5, data_uri(np.eye(8)))
    if pictures:
        (run / "labels.csv").touch()
        (run / "labels.json").write_bytes(to_json(DoubtfulLabels([sample] * pictures)))
        twenty = [[5 * (i == j) + 1 for j in range(20)] for i in range(20)]
        for path in run.glob("*/*/confusion.json"):
            path.write_text(json.dumps({"classes": [20 * "name"] * 20, "counts": twenty}))
    path = write_report([run], tmp_path / "page.html")
    # A frame as wide as a phone, since a window of Chromium cannot be so narrow.
    (tmp_path / "frame.html").write_text(
        '<iframe src="page.html" style="width:390px;height:800px;border:0"></iframe>'
        "<script>onload = () => { const page = frames[0].document, root = page.documentElement;"
        "document.title = [root.scrollWidth > root.clientWidth,"
        "page.querySelectorAll('figure > svg').length,"
        "[...page.images].filter(image => image.naturalWidth == 96).length,"
        "frames[0].getComputedStyle(page.querySelector('.series-0')).display].join() }</script>"
    )
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    words = [str(BROWSER), *flags, profile, "--dump-dom", f"file://{tmp_path / 'frame.html'}"]
    shown = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    count = path.read_text().count("<figure><svg")
    assert f"<title>false,{count},{pictures},inline</title>" in shown.stdout
