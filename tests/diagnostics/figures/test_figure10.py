"""Figure 10: the training losses of the metrics."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from metaloss.checks import InputError
from metaloss.diagnostics.figures import Pair, draw_figure10
from metaloss.experiments.records.run_records import RunRecords
from tests.diagnostics.figures.helpers import check_readable, entries, line


def test_the_lines_are_those_of_the_metrics(run, tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    names = [("GCE", "A-GCE"), ("JS", "A-JS")]
    figure = draw_figure10([Pair(run(two), run(one)) for one, two in names], path)
    assert len(figure.axes) == 2
    for axis, (fixed, adjusted) in zip(figure.axes, names, strict=True):
        assert axis.get_title() == f"{fixed} and {adjusted}"
        for name, label in ((fixed, "fixed"), (adjusted, "adjusted")):
            text = (run(name).path / "metrics.jsonl").read_text()
            records = [json.loads(each) for each in text.splitlines()]
            x, y = line(axis, label).get_data()
            assert list(x) == [1, 2, 3, 4]
            assert list(y) == [record["train_loss"] for record in records]
        assert axis.get_ylim()[0] == 0 and axis.get_ylim()[1] > max(line(axis, "fixed").get_ydata())
    assert entries(figure) == ["fixed", "adjusted"]
    check_readable(figure, path)


def test_a_pair_needs_both(run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a fixed run to draw beside it, got none"):
        draw_figure10([Pair(run("A-GCE"))], tmp_path / "figure.png")
    with pytest.raises(InputError, match="expected a finished run, got none"):
        draw_figure10([Pair(run("A-GCE"), run("nothing"))], tmp_path / "figure.png")
    with pytest.raises(InputError, match="pairs: expected one or more, got none"):
        draw_figure10([], tmp_path / "figure.png")


def test_a_loss_that_was_not_finite_is_refused(run, tmp_path: Path) -> None:
    shutil.copytree(run("GCE").path, tmp_path / "copy")
    metrics = tmp_path / "copy" / "metrics.jsonl"
    lines = [json.loads(each) for each in metrics.read_text().splitlines()]
    lines[2]["train_loss"] = None
    metrics.write_text("".join(json.dumps(each) + "\n" for each in lines))
    with pytest.raises(InputError, match="expected the train_loss of epoch 3, got None"):
        draw_figure10([Pair(run("A-GCE"), RunRecords(tmp_path / "copy"))], tmp_path / "f.png")
