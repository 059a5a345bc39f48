"""The picture of a table of scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from matplotlib.axes import Axes

from metaloss.diagnostics.score_plot import BEST, MEAN, draw_scores
from tests.experiments.test_score_table import TABLE


def drawn(axis: Axes) -> list[tuple[str, list[float], list[float]]]:
    """What is drawn: the entry of the legend, the scores and the rows."""
    return [
        (str(line.get_label()), list(line.get_xdata()), list(line.get_ydata()))
        for line in axis.lines
    ]


def test_a_panel_for_each_task_with_all_scores_their_means_and_the_papers(tmp_path: Path) -> None:
    figure = draw_scores(TABLE, tmp_path / "scores.png")
    assert (tmp_path / "scores.png").is_file()
    first, second = figure.axes
    assert drawn(first) == [
        ("a seed", [70.0, 72.0], [0, 0]),
        ("mean over seeds", [71.0], [0]),
        ("the paper's mean", [74.5], [0]),
        ("a seed", [90.0, 92.0], [1, 1]),
        ("mean over seeds", [91.0], [1]),
        ("a seed", [91.0, 92.0], [2, 2]),
        ("best mean", [91.5], [2]),
    ]
    assert drawn(second) == [
        ("best mean", [50.0], [0]),
        ("the paper's mean", [50.0], [0]),
        ("score", [49.9], [2]),
    ]
    assert [line.get_color() for line in second.lines[::2]] == [BEST, MEAN]
    assert [label.get_text() for label in first.get_yticklabels()] == TABLE.methods
    assert (first.get_title(), second.get_title()) == ("a", "b")
    assert first.get_ylim()[0] > first.get_ylim()[1]  # the first method is on top
    (legend,) = figure.legends
    words = {text.get_text() for text in legend.get_texts()}
    assert words == {"a seed", "mean over seeds", "best mean", "the paper's mean", "score"}


def test_published_means_that_are_far_from_all_scores_are_left_out(tmp_path: Path) -> None:
    far = {key: value._replace(mean=20.0) for key, value in TABLE.published.items()}
    first, second = draw_scores(replace(TABLE, published=far), tmp_path / "scores.svg").axes
    for axis in (first, second):
        assert "the paper's mean" not in {label for label, *_ in drawn(axis)}


def test_five_tasks_are_in_two_rows_and_names_are_no_mathematics(tmp_path: Path) -> None:
    names = [f"${name}$" for name in "abcde"]
    five = replace(TABLE, tasks=names, scores={("CE", name): {0: 1.0} for name in names})
    shown = [axis for axis in draw_scores(five, tmp_path / "scores.svg").axes if axis.get_visible()]
    assert [axis.get_title() for axis in shown] == [rf"\${name}\$" for name in "abcde"]
    assert len({axis.get_position().y0 for axis in shown}) == 2
