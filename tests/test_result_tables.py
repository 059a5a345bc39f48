"""The directive that writes tables of results, and the files that it reads."""

from __future__ import annotations

import csv
import importlib.util
import statistics
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
pytest.importorskip("sphinx")
SPEC = importlib.util.spec_from_file_location("result_table", DOCS / "ext" / "result_table.py")
result_table = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(result_table)
Figure, Pivot = result_table.Figure, result_table.Pivot

LINES = [
    {"method": "CE", "noise": "a", "seed": "0", "value": "10.0", "spread": ""},
    {"method": "CE", "noise": "a", "seed": "1", "value": "20.0", "spread": ""},
    {"method": "GCE", "noise": "a", "seed": "0", "value": "16.0", "spread": ""},
    {"method": "CE", "noise": "b", "seed": "0", "value": "31.0", "spread": ""},
]


def test_figures_with_the_same_row_and_column_are_averaged() -> None:
    table = result_table.pivot(LINES, ["method"], ["noise"], {})
    assert (table.rows, table.columns) == (["CE", "GCE"], ["a", "b"])
    assert table.figures == {
        ("CE", "a"): Figure(15.0),
        ("GCE", "a"): Figure(16.0),
        ("CE", "b"): Figure(31.0),
    }


def test_the_spread_of_what_is_averaged_is_shown_on_request() -> None:
    table = result_table.pivot(LINES, ["method"], ["noise"], {}, spread=True)
    assert table.figures["CE", "a"] == Figure(15.0, statistics.stdev([10.0, 20.0]))
    assert table.figures["GCE", "a"] == Figure(16.0)  # of one line there is none


def test_lines_can_be_chosen_and_keys_joined() -> None:
    table = result_table.pivot(LINES, ["method", "seed"], ["noise"], {"seed": ["0"]})
    assert table.rows == ["CE, 0", "GCE, 0"]
    assert table.figures["CE, 0", "a"] == Figure(10.0)
    with pytest.raises(ValueError, match="found none"):
        result_table.pivot(LINES, ["method"], ["noise"], {"noise": ["c"]})


def test_a_spread_stands_for_one_line() -> None:
    lines = [{**line, "spread": "1.5"} for line in LINES]
    with pytest.raises(ValueError, match="got 2"):
        result_table.pivot(lines, ["method"], ["noise"], {})
    (figure,) = result_table.pivot(lines[2:3], ["method"], ["noise"], {}).figures.values()
    assert figure == Figure(16.0, 1.5)


def test_the_best_and_the_means() -> None:
    table = result_table.pivot(LINES, ["method"], ["noise"], {})
    assert result_table.best(table, "column") == {("GCE", "a"), ("CE", "b")}
    assert result_table.best(table, "row") == {("GCE", "a"), ("CE", "b")}
    means = result_table.with_means(table)
    assert means.rows[-1] == "mean"
    assert means.figures["mean", "a"] == Figure(statistics.fmean([15.0, 16.0]))
    assert ("mean", "b") not in means.figures  # one cell is missing


def test_equal_figures_are_all_the_best() -> None:
    table = Pivot(
        ["r"],
        ["a", "b", "c"],
        {("r", c): Figure(v) for c, v in zip("abc", (1.01, 1.0, 0.9), strict=True)},
    )
    assert result_table.best(table, "row") == {("r", "a"), ("r", "b")}


@pytest.mark.parametrize("path", sorted((DOCS / "results").glob("*.csv")), ids=lambda p: p.stem)
def test_the_files_have_the_same_cells_in_every_line(path: Path) -> None:
    with path.open(newline="") as file:
        header, *lines = csv.reader(file)
    assert len(header) > 1 and lines
    assert {len(line) for line in lines} == {len(header)}


def test_means_over_the_noises_are_those_of_the_cells() -> None:
    with (DOCS / "results" / "transfer.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for line in lines:
        row = rows.setdefault((line["target"], line["method"]), {})
        row[line["noise"]] = float(line["value"])
    for row in rows.values():
        mean = row.pop("mean")
        assert len(row) == 6
        assert abs(statistics.fmean(row.values()) - mean) < 0.11  # of figures that were rounded
