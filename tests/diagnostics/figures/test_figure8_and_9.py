"""Figures 8 and 9: histograms of right and wrong labels, counted again here."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from metaloss.checks import InputError
from metaloss.diagnostics.figures import draw_figure8, draw_figure9
from metaloss.experiments import recorded
from metaloss.experiments.records.run_records import RunRecords
from tests.diagnostics.figures.helpers import bars, check_readable, entries, line, outline

EPOCHS = (1, 2, 4)


def check_histograms(axis, values: Tensor, flipped: Tensor, edges: np.ndarray) -> None:
    """The bars are the shares of right labels in each bin, the outline those of wrong ones."""
    right, wrong = (np.asarray(values.double())[np.asarray(m)] for m in (~flipped, flipped))
    found = bars(axis)
    np.testing.assert_allclose(found[:, 0], edges[:-1], rtol=1e-9, atol=1e-12)
    expected = np.histogram(right, edges)[0] / len(right)
    np.testing.assert_allclose(found[:, 2], expected, atol=1e-6)
    assert found[:, 2].sum() == pytest.approx(1, abs=1e-6)  # all of them are in the picture
    heights = outline(axis)[1:-1:2, 1][: len(edges) - 1]
    np.testing.assert_allclose(heights, np.histogram(wrong, edges)[0] / len(wrong), atol=1e-6)


def test_hyperparameters_over_their_whole_range(run, tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    names = ("A-GCE", "A-SL", "A-JS")
    figure = draw_figure8([run(name) for name in names], path)
    assert len(figure.axes) == 9
    both = torch.cat([time.samples["hparams"].double() for time in recorded(run("A-SL"))])
    ratios = both[:, 0] / both[:, 1]
    around = 0.8 * min(float(ratios.min()), 0.1), 1.25 * max(float(ratios.max()), 0.1)
    ends = {"A-GCE": (0, 1), "A-SL": around, "A-JS": (1e-3, 1 - 1e-3)}
    symbols = {"A-GCE": "$q$", "A-SL": r"$\gamma_1 / \gamma_2$", "A-JS": r"$\pi_1$"}
    defaults = {"A-GCE": 0.7, "A-SL": 0.1, "A-JS": 0.5}
    for row, name in enumerate(names):
        axes = figure.axes[3 * row : 3 * row + 3]
        for axis, time, epoch in zip(axes, recorded(run(name)), EPOCHS, strict=True):
            assert axis.get_title() == f"{name}, epoch {epoch} of 4"
            assert axis.get_xlabel() == symbols[name]
            hparams, flipped = time.samples["hparams"].double(), time.samples["flipped"]
            is_ratio = name == "A-SL"
            values = hparams[:, 0] / hparams[:, 1] if is_ratio else hparams[:, 0]
            space = np.geomspace if is_ratio else np.linspace
            check_histograms(axis, values, flipped, space(*ends[name], 41))
            assert axis.get_xscale() == ("log" if is_ratio else "linear")
            low, high = axis.get_xlim()
            assert low <= ends[name][0] and ends[name][1] <= high
            assert line(axis, "default").get_xdata() == pytest.approx([defaults[name]] * 2)
        assert len({axis.get_ylim() for axis in axes}) == 1
    assert entries(figure) == ["right labels", "wrong labels", "default"]
    check_readable(figure, path)


def test_a_loss_of_two_hyperparameters_has_two_rows(run, tmp_path: Path) -> None:
    figure = draw_figure8([run("A-PolySoft")], tmp_path / "figure.svg")
    assert [axis.get_xlabel() for axis in figure.axes] == [r"$\lambda$"] * 3 + ["$d$"] * 3


def test_weights_of_polysoft_and_of_meta_weight_net(run, tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    names = ("A-PolySoft", "MW-Net")
    figure = draw_figure9([run(name) for name in names], path)
    assert len(figure.axes) == 6
    for row, name in enumerate(names):
        axes = figure.axes[3 * row : 3 * row + 3]
        for axis, time, epoch in zip(axes, recorded(run(name)), EPOCHS, strict=True):
            hparams, ce = time.samples["hparams"].double(), time.samples["plain"].double()
            if name == "MW-Net":
                expected = hparams[:, 0]
            else:
                lam, d = hparams.T
                expected = (1 - ce / lam).clamp(min=0) ** (1 / (d - 1))
            # The bins hold float32's weights: a weight at an edge would be a matter of rounding.
            edges = np.linspace(0, 1, 41)
            near = np.abs(expected.numpy()[:, None] - edges[1:-1]).min()
            assert near > 1e-6, "choose other edges"
            check_histograms(axis, expected, time.samples["flipped"], edges)
            assert axis.get_title() == f"{name}, epoch {epoch} of 4"
    check_readable(figure, path)


def test_weights_beyond_one_are_in_the_picture(run, tmp_path: Path) -> None:
    """Of SL the weight is gamma_1 + 4 gamma_2 f_y, up to 5."""
    figure = draw_figure9([run("A-SL")], tmp_path / "figure.pdf")
    greatest = max(float(time.samples["weights"].max()) for time in recorded(run("A-SL")))
    assert greatest > 1.5
    for axis, time in zip(figure.axes, recorded(run("A-SL")), strict=True):
        assert axis.get_xlim()[1] >= greatest
        edges = np.linspace(0, greatest, 41)
        check_histograms(axis, time.samples["weights"], time.samples["flipped"], edges)


def test_of_many_times_five_are_drawn(run, tmp_path: Path) -> None:
    shutil.copytree(run("A-GCE").path, tmp_path / "copy")
    records = RunRecords(tmp_path / "copy")
    for epoch in range(1, 9):
        records.write_tensors(f"samples-epoch-{epoch}", records.read_tensors("samples"))
    figure = draw_figure9([records], tmp_path / "figure.png")
    assert [axis.get_title().split()[2] for axis in figure.axes] == ["1", "3", "5", "7", "4"]
    check_readable(figure, tmp_path / "figure.png")


@pytest.mark.parametrize("draw", [draw_figure8, draw_figure9])
def test_a_run_that_recorded_nothing_is_told_how(draw, at_the_end_alone, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        draw([at_the_end_alone], tmp_path / "figure.png")
    said = str(refused.value)
    assert said.startswith(f"{at_the_end_alone.path}: expected samples recorded over training")
    assert "RunSettings(record_samples=(1/3, 2/3, 1.0))" in said
    assert "RECORD_SAMPLES = (0.333, 0.667, 1.0)" in said
    assert "\n" not in said


@pytest.mark.parametrize("draw", [draw_figure8, draw_figure9])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CE", "got CE, which has no"),
        ("nothing", "expected a finished run, got none"),
    ],
)
def test_other_runs_are_refused(draw, name: str, message: str, run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        draw([run(name)], tmp_path / "figure.png")


def test_without_a_run_there_is_nothing_to_draw(tmp_path: Path) -> None:
    for draw in (draw_figure8, draw_figure9):
        with pytest.raises(InputError, match="runs: expected one or more, got none"):
            draw([], tmp_path / "figure.png")
