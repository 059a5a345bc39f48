"""Figure 2: bars of a table of results."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from metaloss.checks import InputError
from metaloss.diagnostics.figures import draw_figure2
from metaloss.diagnostics.figures.drawing import save
from tests.diagnostics.figures.helpers import check_readable, entries

NOISES = ("40% symmetric", "40% asymmetric", "40% instance-dependent")
METHODS = ("CE", "GCE", "oracle GCE", "SL", "oracle SL")
TABLE = {
    method: {
        noise: [50.0 + 7 * i + 3 * j + 1.5 * seed for seed in range(3)]
        for j, noise in enumerate(NOISES)
    }
    for i, method in enumerate(METHODS)
}


def test_bars_are_means_and_lines_are_deviations(tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    figure = draw_figure2(TABLE, path)
    assert [axis.get_title() for axis in figure.axes] == ["GCE", "SL"]
    for axis, loss in zip(figure.axes, ("GCE", "SL"), strict=True):
        assert len(axis.containers) == 6  # the bars and the lines of three methods
        ticks = [text.get_text() for text in axis.get_xticklabels()]
        assert ticks == ["40% symmetric", "40% asymmetric", "40% instance-\ndependent"]
        centres = []
        drawn = [found for found in axis.containers if hasattr(found, "patches")]
        for method, found in zip(("CE", loss, f"oracle {loss}"), drawn, strict=True):
            for noise, bar in zip(NOISES, found.patches, strict=True):
                assert bar.get_height() == pytest.approx(statistics.fmean(TABLE[method][noise]))
                assert bar.get_y() == 0
            segments = found.errorbar.lines[2][0].get_segments()
            for noise, ((_, low), (_, high)) in zip(NOISES, segments, strict=True):
                deviation = statistics.stdev(TABLE[method][noise])
                assert (high - low) / 2 == pytest.approx(deviation)
            centres.append([bar.get_x() + bar.get_width() / 2 for bar in found.patches])
        for j in range(3):  # side by side around their tick
            assert centres[1][j] == pytest.approx(j)
            assert j - 0.5 < centres[0][j] < centres[1][j] < centres[2][j] < j + 0.5
        assert axis.get_ylim()[0] == 0
    assert len({axis.get_ylim() for axis in figure.axes}) == 1
    assert entries(figure) == ["cross entropy", "robust loss, fixed", "robust loss, oracle"]
    check_readable(figure, path)


def test_one_seed_has_no_deviation(tmp_path: Path) -> None:
    table = {method: {"40%": [80.0]} for method in ("CE", "JS", "oracle JS")}
    figure = draw_figure2(table, tmp_path / "figure.pdf")
    assert all(getattr(found, "errorbar", None) is None for found in figure.axes[0].containers)


def test_panels_of_other_names(tmp_path: Path) -> None:
    losses = {"Polynomial": ("CE", "SL", "oracle GCE")}
    (axis,) = draw_figure2(TABLE, tmp_path / "figure.svg", losses).axes
    assert axis.get_title() == "Polynomial"
    assert axis.containers[-1].patches[0].get_height() == pytest.approx(65.5)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "methods named 'oracle X' beside 'X' and 'CE' to draw, got none"),
        ({"oracle GCE": {"a": [1.0]}, "GCE": {"a": [1.0]}}, "table: expected CE, got oracle GCE"),
        ({**TABLE, "SL": {NOISES[0]: [1.0]}}, r"of SL with 40% asymmetric, got \[\]"),
        (
            {**TABLE, "SL": {key: [None] for key in NOISES}},
            r"of SL with .*, got \[None\]",
        ),
    ],
)
@pytest.mark.bad_input
def test_tables_with_gaps_are_refused(table, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        draw_figure2(table, tmp_path / "figure.png")


@pytest.mark.parametrize("name", ["figure", "figure.txt"])
def test_a_picture_of_another_format_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.png, \.svg or \.pdf, got (no ending|\.txt)"):
        draw_figure2(TABLE, tmp_path / name)


@pytest.mark.drawn
@pytest.mark.parametrize(
    ("ending", "begin"), [("svg", b"<?xml"), ("pdf", b"%PDF"), ("PNG", b"\x89PNG")]
)
def test_a_picture_is_of_the_format_of_its_name(ending: str, begin: bytes, tmp_path: Path) -> None:
    save(Figure(), tmp_path / f"figure.{ending}")
    assert (tmp_path / f"figure.{ending}").read_bytes().startswith(begin)
