"""What a comparison prints at its end."""

from __future__ import annotations

import pytest
from rich.console import Console

from metaloss.console import across_table, results_table


def row(method: str, *accuracies: float) -> dict[str, object]:
    tasks = {
        f"task-{k}": {
            "accuracy_mean": value,
            "accuracy_std": 0.5,
            "seeds": [0, 1],
            "values": [value - 0.5**1.5, value + 0.5**1.5],  # their standard deviation is 0.5
        }
        for k, value in enumerate(accuracies)
    }
    mean = sum(accuracies) / len(accuracies)
    return {"method": method, "metric": "accuracy", "tasks": tasks, "accuracy_mean": mean}


def lines(*rows: dict[str, object]) -> list[list[str]]:
    console = Console(width=80)
    with console.capture() as captured:
        console.print(across_table(rows, last=5))
    cells = [line.replace("┃", "│").split("│") for line in captured.get().splitlines()]
    return [[cell.strip() for cell in line[1:-1]] for line in cells if len(line) > 1]


def test_what_there_is_more_of_goes_down() -> None:
    assert lines(row("CE", 50, 70, 90), row("GCE", 60, 80, 85)) == [
        ["task", "CE", "GCE"],
        ["task-0", "50.00 ± 0.50", "60.00 ± 0.50"],
        ["task-1", "70.00 ± 0.50", "80.00 ± 0.50"],
        ["task-2", "90.00 ± 0.50", "85.00 ± 0.50"],
        ["mean", "70.00", "75.00"],
    ]
    assert lines(row("CE", 50), row("GCE", 60)) == [
        ["method", "task-0", "mean"],
        ["CE", "50.00 ± 0.50", "50.00"],
        ["GCE", "60.00 ± 0.50", "60.00"],
    ]


@pytest.mark.parametrize("informed", [False, True])
def test_an_oracle_is_not_the_best(informed: bool) -> None:
    rows = [row("CE", 60, 50), {**row("oracle", 90, 40), "informed": informed}]
    table = across_table(rows, last=5)
    cells = [[str(cell.style) for cell in column.cells] for column in table.columns[1:3]]  # type: ignore[union-attr]
    assert cells == [["bold", ""] if informed else ["", "bold"], ["bold", ""]]
    alone = [{**each, **each["tasks"]["task-0"], "tasks": None, "task": "task-0"} for each in rows]  # type: ignore[index]
    styles = [line.style for line in results_table(alone, last=5).rows]
    assert styles == (["bold", None] if informed else [None, "bold"])
    assert results_table(alone[1:], last=5).rows[0].style == (None if informed else "bold")
