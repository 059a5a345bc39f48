"""The figures and the theorems, as a user asks for them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from metaloss.diagnostics.theorems.statement import NOISY, Statement
from metaloss.reproduce import figures, reproduction, theorems
from tests.reproduce.commands import run


@pytest.mark.exhaustive
@pytest.mark.drawn
def test_figures_are_drawn_from_the_runs_of_the_tables(tmp_path: Path) -> None:
    out = tmp_path / "out"
    shown = run("reproduce", "figure9", "--out", str(out)).replace("\n", "")
    assert f"{out}/table1: 2 runs, 0 of them finished" in shown
    assert f"picture: {out}/figure9.png" in shown
    run_of = out / "table1" / "symmetric-0.4" / "A-PolySoft" / "seed-0" / "A-PolySoft"
    assert len(list(run_of.glob("seed-0/samples*.safetensors"))) == 2  # after both epochs
    for ending in ("png", "svg"):
        assert (out / f"figure9.{ending}").stat().st_size > 1000
    again = run("reproduce", "table1", "--out", str(out), "--only", "method=MW-Net")
    assert "2 runs, 1 of them finished" in again


@pytest.mark.exhaustive
def test_the_oracles_of_both_tables(tmp_path: Path) -> None:
    out = tmp_path / "out"
    seen: list[dict[str, dict[str, list[float]]]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "draw_figure2", lambda table, path: seen.append(table))
        patch.setattr(figures, "ORACLES", ("CE", "oracle GCE"))
        patch.setattr(reproduction, "ORACLES", ("CE", "oracle GCE"))
        run("reproduce", "figure2", "--out", str(out))
    noises = {"symmetric 0.4", "asymmetric 0.4", "instance 0.4"}
    assert {method: set(own) for method, own in seen[0].items()} == {
        "CE": noises,
        "oracle GCE": noises,
    }


def test_a_run_that_fails_is_not_drawn(tmp_path: Path) -> None:
    broken = ["--gin_param", "models.MLP.in_features = 3"]
    shown = run("reproduce", "figure9", "--out", str(tmp_path / "out"), *broken, code=1)
    assert "2 runs failed" in shown
    assert not list((tmp_path / "out").glob("figure9*"))


@pytest.mark.exhaustive
def test_theorems(tmp_path: Path) -> None:
    shown = run("reproduce", "theorems", "--out", str(tmp_path / "out"))
    assert "Statements that fail as printed" in shown
    with (tmp_path / "out" / "theorems.csv").open() as file:
        lines = list(csv.DictReader(file))
    holds = [line["holds"] for line in lines if line["bounds"] == "holds"]
    assert len(holds) == 198 and set(holds) == {"True"}
    assert {line["holds"] for line in lines if line["bounds"] == "as printed"} == {"False"}


def test_theorems_that_do_not_hold_are_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = Statement(1, 1, "GCE(q=0.5)", 2, "symmetric", 0.4)
    wrong = [said.check(NOISY, 0.0, [0.3], high=0.2)]
    monkeypatch.setattr(theorems, "check_theorems", lambda size: wrong)
    run("reproduce", "theorems", "--out", str(tmp_path / "out"), code=1)


def test_figure_3_needs_no_run(tmp_path: Path) -> None:
    run("reproduce", "figure3", "--out", str(tmp_path / "out"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "figure3.png",
        "figure3.svg",
    ]
