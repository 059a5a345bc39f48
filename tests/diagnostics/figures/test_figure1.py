"""Figure 1: the curves are the losses, and the samples are chosen by rank."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from metaloss.checks import InputError
from metaloss.diagnostics.figures import Pair, draw_figure1
from metaloss.experiments.records.run_records import RunRecords
from tests.diagnostics.figures.helpers import check_readable, entries, line
from tests.helpers.exhaustive import mostly_exhaustive

LEARNED = "A-GCE, for this sample"


def gce(p, q):
    return (1 - p**q) / q


def chosen(records: RunRecords) -> list[int]:
    """The first and third quartile of margins of each group, by sorting pairs."""
    samples = records.read_tensors("samples")
    found = []
    for wrong in (True, False):
        rows = [
            (float(m), i)
            for i, (m, f) in enumerate(zip(samples["margin"], samples["flipped"], strict=True))
            if bool(f) == wrong
        ]
        rows.sort()
        last = len(rows) - 1
        found += [rows[round(last / 4)][1], rows[round(3 * last / 4)][1]]
    return found


def test_curves_and_places(run, tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    figure = draw_figure1(Pair(run("A-GCE"), run("GCE")), path)
    samples = run("A-GCE").read_tensors("samples")
    assert len(figure.axes) == 4
    for axis, row in zip(figure.axes, chosen(run("A-GCE")), strict=True):
        q = float(samples["hparams"][row, 0])
        expected = {
            "cross entropy": lambda p: -np.log(p),
            "GCE, fixed": lambda p: gce(p, 0.6),
            LEARNED: lambda p, q=q: gce(p, q),
        }
        for label, loss in expected.items():
            p, values = line(axis, label).get_data()
            assert len(p) > 500 and 0 < min(p) < 1e-6 and 0.99 < max(p) < 1
            np.testing.assert_allclose(values, loss(np.asarray(p)), rtol=1e-6, atol=1e-9)
        place = np.exp(-float(samples["plain"][row]))
        dots = [each for each in axis.lines if each.get_marker() in {"o", "^"}]
        assert len(dots) == 3
        for dot, loss in zip(dots, expected.values(), strict=True):
            (x,), (y,) = dot.get_data()
            assert x == pytest.approx(place, rel=1e-5)
            beyond = loss(place) > 6
            assert dot.get_marker() == ("^" if beyond else "o")
            assert y == pytest.approx(min(loss(place), 6), rel=1e-4, abs=1e-6)
        upright = line(axis, "where the trained network is")
        assert upright.get_xdata()[0] == pytest.approx(place, rel=1e-5)
        assert axis.get_ylim() == (0, 6)
        kind = "Wrong" if samples["flipped"][row] else "Right"
        assert axis.get_title().startswith(f"{kind} label") and f"$q$ = {q:.2g}" in axis.get_title()
    assert entries(figure) == [
        "cross entropy",
        "GCE, fixed",
        LEARNED,
        "where the trained network is",
    ]
    check_readable(figure, path)


def test_without_a_fixed_run_the_default_takes_its_place(run, tmp_path: Path) -> None:
    figure = draw_figure1(Pair(run("A-GCE")), tmp_path / "figure.svg")
    p, values = line(figure.axes[0], "GCE, fixed").get_data()
    np.testing.assert_allclose(values, gce(np.asarray(p), 0.7), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "name", mostly_exhaustive(["A-SL", "A-PolySoft", "A-JS", "MW-Net"], "A-SL", "MW-Net")
)
def test_other_losses_of_the_label(name: str, run, tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    check_readable(draw_figure1(Pair(run(name)), path), path)


def test_a_loss_of_other_classes_too_is_refused(run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"of the label alone, such as GCE.*, got ActivePassive"):
        draw_figure1(Pair(run("A-APL")), tmp_path / "figure.png")


def rewritten(records: RunRecords, place: Path, change) -> RunRecords:
    """Return a copy of a run's folder with other samples."""
    shutil.copytree(records.path, place)
    copy = RunRecords(place)
    samples = copy.read_tensors("samples")
    change(samples)
    copy.write_tensors("samples", samples)
    return copy


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("flipped"), "a run that knows which labels are wrong"),
        (lambda s: s.update(flipped=torch.zeros(60, dtype=torch.bool)), "two wrong labels or more"),
        (lambda s: s.pop("plain"), "expected samples with their plain, got "),
    ],
)
def test_samples_that_lack_something_are_refused(change, message, run, tmp_path: Path) -> None:
    records = rewritten(run("A-GCE"), tmp_path / "copy", change)
    with pytest.raises(InputError, match=message):
        draw_figure1(Pair(records), tmp_path / "figure.png")


@pytest.mark.parametrize(
    ("adjusted", "fixed", "message"),
    [
        ("GCE", None, r"a run that learned an adjuster \(experiments.Adjusted\), got GCE"),
        ("A-GCE", "A-JS", "the same hyperparameters for every sample, got A-JS"),
        ("A-SL", "GCE", "a run of SL with its 2 hyperparameters, got GCE with 1"),
        ("A-GCE", "CE", "expected a run of a loss with hyperparameters, got CE"),
        ("nothing", None, "expected a finished run, got none"),
    ],
)
def test_other_runs_are_refused(adjusted, fixed, message, run, tmp_path: Path) -> None:
    pair = Pair(run(adjusted), None if fixed is None else run(fixed))
    with pytest.raises(InputError, match=message) as refused:
        draw_figure1(pair, tmp_path / "figure.png")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "figure.png").exists()
