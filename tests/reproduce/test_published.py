"""The paper's numbers, and the grids that reproduce them."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaloss.checks import InputError
from metaloss.config import configuration
from metaloss.experiments.tables.score_table import Published
from metaloss.gin_files import shipped
from metaloss.reproduce import PublishedTable
from metaloss.reproduce.targets import grids
from metaloss.sweeps.jobs import jobs_of
from tests.sweeps.grids import grid

FILES = sorted(path.name for path in (shipped() / "reproduce").glob("table*.gin"))


def parsed(name: str) -> PublishedTable:
    with configuration([f"reproduce/{name}"]) as config:
        return config.build(PublishedTable)


def published(table: str, data: str) -> dict[tuple[str, str], Published]:
    return dict(PublishedTable(grid=grid(), table=table, data=data).published)


@pytest.mark.parametrize(
    ("table", "data", "method", "task", "mean", "std"),
    [
        ("table1", "CIFAR-10", "A-GCE", "symmetric 0.4", 88.19, 0.13),
        ("table1", "CIFAR-10", "CE", "asymmetric 0.4", 82.18, 0.92),
        ("table1", "CIFAR-100", "A-JS", "hierarchical 0.2", 66.54, 0.14),
        ("table2", "CIFAR-10", "A-PolySoft", "instance 0.5", 54.89, 0.54),
        ("table2", "CIFAR-100", "MW-Net", "instance 0.2", 60.74, 0.17),
        ("table3", "Tiny-ImageNet", "T-GCE", "asymmetric 0.4", 36.07, 0.26),
        ("table4", "Clothing1M", "T-GCE", "Clothing1M", 70.08, None),
        ("table5", "Food-101N", "T-SL", "Food-101N", 85.90, 0.01),
    ],
)
def test_some_of_the_printed_numbers(
    table: str, data: str, method: str, task: str, mean: float, std: float | None
) -> None:
    assert published(table, data)[method, task] == Published(mean, std)


@pytest.mark.parametrize(
    ("table", "data", "methods", "tasks"),
    [
        ("table1", "CIFAR-10", 11, 6),
        ("table1", "CIFAR-100", 11, 6),
        ("table2", "CIFAR-10", 11, 4),
        ("table2", "CIFAR-100", 11, 4),
        ("table3", "Tiny-ImageNet", 11, 6),
        ("table4", "Clothing1M", 10, 1),
        ("table5", "ANIMAL-10N", 10, 1),
        ("table5", "Food-101N", 10, 1),
    ],
)
def test_every_cell_of_a_table_is_there(table: str, data: str, methods: int, tasks: int) -> None:
    found = published(table, data)
    assert len(found) == methods * tasks
    assert {len({key[axis] for key in found}) for axis in (0, 1)} == {methods, tasks}
    assert all(20 < each.mean < 95 for each in found.values())


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith("_paper.gin")])
def test_the_grid_of_the_paper_has_every_cell_that_is_printed(name: str) -> None:
    table = parsed(name)
    cells = table.grid.cells({"method": table.methods} if table.methods else None)
    run = {(cell.values["method"], table.grid.column(cell)) for cell in cells}
    assert run == set(table.published)
    assert table.grid.seeds == [0, 1, 2] or tuple(table.grid.seeds) == (0, 1, 2)


def test_every_grid_has_a_title_of_its_own() -> None:
    assert len({parsed(name).grid.title for name in FILES}) == len(FILES)


@pytest.mark.parametrize("name", FILES)
def test_every_run_of_a_grid_is_an_experiment(name: str, tmp_path: Path) -> None:
    table = parsed(name)
    places = {"data": "/data", "adjusters": "/adjusters"}
    values = {axis: list(of) for axis, of in table.grid.axes.items()}
    if name in {"table2_smoke.gin", "table2_laptop.gin"}:  # Table 1's runs, with another noise
        grid = parsed(name.replace("table2", "table1")).grid
        assert (grid.experiment, grid.bindings) == (table.grid.experiment, table.grid.bindings)
        assert grid.axes["method"] == table.grid.axes["method"]
        values["method"] = values["method"][:1]
    for number in range(max(map(len, values.values()))):  # each value once or more
        some = {axis: [of[number % len(of)]] for axis, of in values.items()}
        cells = table.grid.cells({"seed": ["0"], **some})
        assert len(jobs_of(table.grid, cells, tmp_path, places=places)) == 1
    assert ("{data}" in str(table.grid.bindings)) == bool(table.needs)


def test_grids_of_a_target() -> None:
    assert grids("table1", "paper") == [
        "reproduce/table1_cifar10_paper.gin",
        "reproduce/table1_cifar100_paper.gin",
    ]
    assert grids("table1", "smoke") == ["reproduce/table1_smoke.gin"]


def test_unknown_tables_and_data() -> None:
    with pytest.raises(InputError, match=r"table: expected one of table1, .* got 'table6'"):
        published("table6", "CIFAR-10")
    with pytest.raises(InputError, match="data: expected one of CIFAR-10, CIFAR-100, got 'MNIST'"):
        published("table1", "MNIST")
