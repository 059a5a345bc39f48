"""The runs of a grid."""

from __future__ import annotations

from typing import Any

import pytest

from metaloss.checks import InputError
from tests.sweeps.grids import CE, GCE, grid


def test_seeds_are_outermost_and_the_last_axis_is_innermost() -> None:
    cells = grid().cells()
    assert [cell.name for cell in cells] == [
        "20%, CE, seed 0",
        "20%, GCE, seed 0",
        "40%, CE, seed 0",
        "40%, GCE, seed 0",
        "20%, CE, seed 1",
        "20%, GCE, seed 1",
        "40%, CE, seed 1",
        "40%, GCE, seed 1",
    ]
    assert str(cells[-1].folder) == "40/GCE/seed-1"


def test_files_come_before_bindings_and_the_seed_is_last() -> None:
    cell = grid().cells()[1]
    assert cell.files == ("losses/gce.gin",)
    assert cell.bindings == ("EPOCHS = 1", "NOISE_RATE = 0.2", GCE[1], "SEEDS = (0,)")


def test_some_of_the_runs() -> None:
    def names(**only: list[str]) -> list[str]:
        return [cell.name for cell in grid().cells(only)]

    assert names(method=["*gce"], seed=["1"]) == ["20%, GCE, seed 1", "40%, GCE, seed 1"]
    assert names(noise=["20%"], method=["CE", "GCE"], seed=["0"]) == [
        "20%, CE, seed 0",
        "20%, GCE, seed 0",
    ]


def test_what_is_skipped() -> None:
    cells = grid(seeds=(0,), skip=[{"noise": "20%", "method": ["CE", "GCE"]}]).cells()
    assert [cell.name for cell in cells] == ["40%, CE, seed 0", "40%, GCE, seed 0"]


def test_columns_are_the_axes_that_are_not_rows() -> None:
    assert {grid().column(cell) for cell in grid().cells()} == {"20%", "40%"}
    assert {grid(axes={"method": {"CE": CE}}).column(cell) for cell in grid().cells()} >= {"20%"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"axes": {}}, "axes: expected one or more, got none"),
        ({"axes": {"method": {}}}, "axis method: expected one or more, got none"),
        ({"axes": {"method": {"A-GCE": CE, "A GCE": CE}}}, "expected names of different folders"),
        ({"axes": {"seed": {"0": []}, "method": {"CE": CE}}}, "expected no axis 'seed'"),
        ({"rows": "loss"}, "rows: expected one of noise, method, got 'loss'"),
        (
            {"seeds": (0, 0)},
            "seeds: expected one or more different ones, such as (0, 1), got (0, 0)",
        ),
        ({"skip": [{"noise": "30%"}]}, "skip: noise: expected one of 20%, 40%, got '30%'"),
        ({"skip": [{"noise": ["20%", "40%"]}]}, "skip: expected something left to run"),
        ({"axes": {"method": {"CE": "losses/ce.gin"}}}, "expected a list of texts"),
    ],
)
def test_grids_that_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refused:
        grid(**changes)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("only", "said"),
    [
        ({"loss": ["CE"]}, "only: expected one of noise, method, seed, got 'loss'"),
        ({"method": ["A-*"]}, "only: expected one of CE, GCE for method, got 'A-*'"),
        ({"seed": ["2"]}, "only: expected one of 0, 1 for seed, got '2'"),
    ],
)
def test_choices_that_are_refused(only: dict[str, list[str]], said: str) -> None:
    with pytest.raises(InputError) as refused:
        grid().cells(only)
    assert str(refused.value) == said
