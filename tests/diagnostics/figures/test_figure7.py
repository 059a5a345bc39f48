"""Figure 7: what the snapshots predict over the margin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from metaloss.checks import InputError
from metaloss.diagnostics.figures import Pair, draw_figure7
from metaloss.pretrained import load_adjuster
from tests.diagnostics.figures.helpers import check_readable, entries, line, lines

SNAPSHOTS = ["learned, at 33% of training", "learned, at 67% of training"]
SNAPSHOTS.append("learned, at 100% of training")


def test_a_curve_for_each_snapshot_and_a_line_for_the_fixed_value(run, tmp_path: Path) -> None:
    names = ["A-GCE", "A-SL", "A-PolySoft", "A-JS"]
    fixed = {"A-GCE": run("GCE"), "A-JS": run("JS")}
    path = tmp_path / "figure.png"
    figure = draw_figure7([Pair(run(name), fixed.get(name)) for name in names], path)
    panels = [axis for axis in figure.axes if axis.get_title()]
    of = [("A-GCE", 0), ("A-SL", 0), ("A-SL", 1), ("A-PolySoft", 0), ("A-PolySoft", 1), ("A-JS", 0)]
    symbols = ["$q$", r"$\gamma_1$", r"$\gamma_2$", r"$\lambda$", "$d$", r"$\pi_1$"]
    values = [0.6, 0.1, 1.0, 4.0, 2.0, 0.5]
    assert len(panels) == 6
    for axis, (name, column), symbol, value in zip(panels, of, symbols, values, strict=True):
        criterion = load_adjuster(run(name).adjuster)
        margin = run(name).read_tensors("samples")["margin"]
        for label, snapshot in zip(SNAPSHOTS, criterion.adjuster.adjusters, strict=True):
            x, y = (np.asarray(each) for each in line(axis, label).get_data())
            assert x.min() <= margin.quantile(0.01) and x.max() >= margin.quantile(0.99)
            with torch.no_grad():
                expected = snapshot(torch.tensor(x)[:, None])[:, column]
            np.testing.assert_array_equal(y, expected)
        assert line(axis, "fixed value").get_ydata() == pytest.approx([value, value])
        assert line(axis, "fixed value").get_linestyle() == ":"
        h = criterion.loss.hyperparameters[column]
        low, high = axis.get_ylim()
        room = 0.05 * (h.high - h.low)
        assert h.low - room < low < h.low and h.high < high < h.high + room
        assert (axis.get_xlabel(), axis.get_ylabel()) == ("margin in logits", symbol)
        assert axis.get_title() == f"{name}: {symbol}"
        greys = [float(lines(axis, label)[0].get_color()) for label in SNAPSHOTS]
        assert greys == sorted(greys, reverse=True)  # darker over training
    assert set(entries(figure)) == {*SNAPSHOTS, "fixed value", "right labels", "wrong labels"}
    check_readable(figure, path)


def test_the_samples_below_are_all_of_them(run, tmp_path: Path) -> None:
    figure = draw_figure7([Pair(run("A-GCE"))], tmp_path / "figure.svg")
    (below,) = (axis for axis in figure.axes if not axis.get_title())
    flipped = run("A-GCE").read_tensors("samples")["flipped"]
    counts = [sum(bar.get_height() for bar in found) for found in below.containers]
    assert counts == [int((~flipped).sum()), int(flipped.sum())]
    assert [text for text in entries(figure) if "labels" in text] == [
        "right labels",
        "wrong labels",
    ]


def test_an_adjuster_that_reads_something_else_is_drawn_by_samples(run, tmp_path: Path) -> None:
    (axis,) = draw_figure7([Pair(run("MW-Net"))], tmp_path / "figure.png").axes
    samples = run("MW-Net").read_tensors("samples")
    drawn = np.concatenate([points.get_offsets() for points in axis.collections])
    expected = torch.stack([samples["margin"], samples["hparams"][:, 0]], dim=1)
    order = [np.lexsort(np.asarray(each).T) for each in (drawn, expected)]
    np.testing.assert_allclose(drawn[order[0]], expected.numpy()[order[1]], rtol=1e-6)


def test_without_a_pair_there_is_nothing_to_draw(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pairs: expected one or more, got none"):
        draw_figure7([], tmp_path / "figure.png")
