"""The section with the test samples by true class and prediction."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from metaloss.report.rows import gather
from metaloss.report.sections.confusions import confusions
from tests.report.conftest import METHODS, ODD, RUN, Copy, changed
from tests.report.parsed import parsed

NAMES = ["cat", "<b>dog", "bird"]


def counted(run: Path, classes: list[str], counts: list[list[int]]) -> None:
    """Replace the counts of all methods and seeds."""
    for path in run.glob("*/seed-*/confusion.json"):
        path.write_text(json.dumps({"classes": classes, "counts": counts}))


def test_each_method_has_a_matrix_of_all_seeds(made: Copy) -> None:
    run = made("classes")
    page = parsed(confusions(gather([run])))
    found = [table for table in page.tables if table[0][0] == "true class"]
    assert len(found) == len(METHODS)
    both = [json.loads((run / f"A-GCE/seed-{s}/confusion.json").read_text()) for s in (0, 1)]
    head, *rows = found[1]
    assert head[1:] == both[0]["classes"]
    for i, (name, *cells) in enumerate(rows):
        sums = [sum(each["counts"][i][j] for each in both) for j in range(3)]
        assert name == both[0]["classes"][i]
        for cell, count in zip(cells, sums, strict=True):
            assert cell == (f"{100 * count / sum(sums):.0f}" if count else "")
    total = sum(sum(map(sum, each["counts"])) for each in both)
    assert f"of {total} wrong, 2 seeds" in page.text["confusion"]
    assert ODD in page.text["confusion"]


def test_cells_say_their_counts_and_are_shaded_by_their_share(copied) -> None:
    run = copied("classes")
    counted(run, NAMES, [[996, 4, 0], [0, 250, 750], [0, 0, 0]])
    text = confusions(gather([run]))
    cells = re.findall(r'rgb\((.*?)/(.*?)\)" title="(.*?)">(.*?)</td>', text)[:4]
    assert [cell[2:] for cell in cells] == [
        ("cat, predicted cat: 1992 of 2000 (99.6%)", "&gt;99"),
        ("cat, predicted &lt;b&gt;dog: 8 of 2000 (0.4%)", "&lt;1"),
        ("&lt;b&gt;dog, predicted &lt;b&gt;dog: 500 of 2000 (25.0%)", "25"),
        ("&lt;b&gt;dog, predicted bird: 1500 of 2000 (75.0%)", "75"),
    ]
    right, few, quarter, most = (float(cell[1]) for cell in cells)
    assert few < quarter < most < right <= 0.62
    assert cells[0][0] == cells[2][0] != cells[1][0] == cells[3][0]


def test_many_classes_have_a_list_of_the_most_frequent_confusions(copied) -> None:
    run = copied("classes")
    classes = [f"class {i}" for i in range(30)]
    counts = [[50 if i == j else (i if j == 0 else 0) for j in range(30)] for i in range(30)]
    counted(run, classes, counts)
    text = confusions(gather([run]))
    lines = re.findall("<li>(.*?)</li>", text)
    assert len(lines) == 20 * len(METHODS) and "<table" not in text
    assert lines[0] == "class 29, predicted class 0: 58 of 158 (36.7%)"
    assert lines[19].startswith("class 10, predicted class 0: 20 of")
    counted(run, classes, [[int(i == j) for j in range(30)] for i in range(30)])
    assert "No test sample was taken for another class" in confusions(gather([run]))


def test_labels_that_nobody_checked_are_told(copied) -> None:
    run = copied("classes")
    assert "Nobody checked" not in confusions(gather([run]))
    changed(run / RUN / "result.json", test_unchecked=True)
    assert "Nobody checked the labels of these test samples" in confusions(gather([run]))


@pytest.mark.parametrize("kind", ["classes", "values", "meta"])
def test_runs_without_counts_have_no_matrix(copied, kind: str) -> None:
    run = copied(kind)
    for path in run.rglob("confusion.json"):
        path.unlink()
    assert confusions(gather([run])) == ""


def test_a_meta_training_has_those_of_its_held_out_tasks(made: Copy) -> None:
    text = confusions(gather([made("meta")]))
    assert re.findall("<details.*?><summary>(third|fourth|first|second)", text) == [
        "third",
        "fourth",
    ]
