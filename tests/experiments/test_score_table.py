"""Tables of scores, and the files they are written to."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from metaloss.experiments.comparison import across
from metaloss.experiments.tables.results import row
from metaloss.experiments.tables.score_table import Published, ScoreTable, table_of_rows
from metaloss.experiments.tables.table_formats import to_csv, to_latex, to_markdown
from metaloss.kinds import CLASSIFICATION, REGRESSION

SCORES = {
    ("CE", "a"): {0: 70.0, 1: 72.0},
    ("GCE_1", "a"): {0: 90.0, 1: 92.0},
    ("A-GCE", "a"): {0: 91.0, 1: 92.0},
    ("CE", "b"): {0: 50.0},
    ("A-GCE", "b"): {0: 49.9},
}
TABLE = ScoreTable(
    title="Accuracy",
    metric=CLASSIFICATION.metric,
    methods=["CE", "GCE_1", "A-GCE"],
    tasks=["a", "b"],
    scores=SCORES,
    published={("CE", "a"): Published(74.5, 0.2), ("CE", "b"): Published(50.0)},
)


def marks(table: ScoreTable, task: str) -> list[str | None]:
    cells = [table.cell(method, task) for method in table.methods]
    return [None if cell is None else cell.mark for cell in cells]


class TestMarks:
    def test_fewer_seeds_than_others_are_not_compared(self) -> None:
        fewer = replace(TABLE, scores={**SCORES, ("A-GCE", "a"): {0: 99.0}})
        assert marks(fewer, "a") == ["", "best", ""]
        assert "| A-GCE | 99.00 (1 of 2 seeds) |" in to_markdown(fewer)

    def test_best_and_what_is_within_the_spread(self) -> None:
        assert marks(TABLE, "a") == ["", "tied", "best"]

    def test_one_seed_has_no_spread(self) -> None:
        assert marks(TABLE, "b") == ["best", None, ""]

    def test_less_is_better_for_errors(self) -> None:
        assert marks(replace(TABLE, metric=REGRESSION.metric), "a") == ["best", "", ""]

    def test_an_oracle_is_not_compared(self) -> None:
        assert marks(replace(TABLE, unranked=["A-GCE"]), "a") == ["", "best", ""]


def test_mean_spread_and_difference() -> None:
    cell = TABLE.cell("CE", "a")
    assert cell is not None
    assert (cell.mean, cell.difference) == (71.0, -3.5)
    assert cell.std == pytest.approx(2**0.5)


def test_csv_has_every_seed() -> None:
    lines = list(csv.DictReader(io.StringIO(to_csv(TABLE))))
    found = {(each["method"], each["task"]): each for each in lines}
    assert set(found) == set(SCORES)
    assert (found["CE", "a"]["seed_0"], found["CE", "a"]["seed_1"]) == ("70.0", "72.0")
    assert (found["CE", "b"]["seed_1"], found["CE", "b"]["std"]) == ("", "")
    assert found["CE", "a"]["published"] == "74.5"
    assert found["CE", "a"]["difference"] == "-3.5"
    assert found["A-GCE", "a"]["mark"] == "best"


def test_markdown() -> None:
    text = to_markdown(TABLE)
    assert "| CE | 71.00 ± 1.41<br>published 74.50 (-3.50) | **50.00** (1 of 2 seeds)<br>" in text
    assert "| GCE_1 | *91.00 ± 1.41* | - |" in text
    assert "| A-GCE | **91.50 ± 0.71** | 49.90 (1 of 2 seeds) |" in text
    assert "| A-GCE | 91.00, 92.00 | 49.90, - |" in text


def test_latex() -> None:
    text = to_latex(TABLE)
    assert r"GCE\_1 & \textit{91.00} $\pm$ 1.41 & -- \\" in text
    assert r"A-GCE & \textbf{91.50} $\pm$ 0.71 & 49.90 \\" in text
    assert r"\quad\textit{published} & 74.50 $\pm$ 0.20 ($-3.50$) & 50.00 ($+0.00$) \\" in text
    assert "% GCE_1, a, by seed: 0: 90.0000, 1: 92.0000" in text
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 1


def test_latex_escapes_what_it_reads_as_commands() -> None:
    odd = replace(TABLE, methods=["CE"], tasks=["a"], scores={("CE", "a"): {0: 1.0}}, published={})
    odd = replace(odd, methods=["50%_{a}&~^\\"], scores={("50%_{a}&~^\\", "a"): {0: 1.0}})
    line = r"50\%\_\{a\}\&\textasciitilde{}\textasciicircum{}\textbackslash{} & \textbf{1.00} \\"
    assert line in to_latex(odd)


def test_the_table_of_a_comparison() -> None:
    def runs(*scores: float) -> list[dict[str, float]]:
        return [{"seed": seed, "accuracy": score} for seed, score in enumerate(scores)]

    rows = {
        "digits": [row("CE", runs(70.0, 72.0)), row("GCE", runs(80.0, 81.0))],
        "faces": [row("CE", runs(60.0, 61.0)), row("GCE", runs(50.0, 51.0))],
    }
    table = table_of_rows(across(rows), last=5)
    assert (table.methods, table.tasks) == (["CE", "GCE"], ["digits", "faces"])
    assert table.scores["GCE", "faces"] == {0: 50.0, 1: 51.0}
    faces = [{**each, "task": "faces"} for each in rows["faces"]]
    assert table_of_rows(faces, last=5).scores["CE", "faces"] == {0: 60.0, 1: 61.0}
