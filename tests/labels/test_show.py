"""What ``metaloss labels`` shows of the noise it estimates."""

from __future__ import annotations

import torch
from rich.console import Console

from metaloss.labels.confident import LabelNoise
from metaloss.labels.show import LARGEST, WIDEST, transition_table


def shown(noise: LabelNoise, width: int = 200) -> list[list[str]]:
    """Return the cells of the table, in lines."""
    names = [f"class{number}" for number in range(len(noise.joint))]
    console = Console(width=width)
    with console.capture() as written:
        console.print(transition_table(noise, names))
    lines = [line for line in written.get().splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def test_the_whole_matrix_of_few_classes() -> None:
    # Of ten samples of class 0, three are labelled 1; those of class 1 keep their labels.
    noise = LabelNoise(torch.tensor([[7.0, 0.0], [3.0, 10.0]], dtype=torch.float64) / 20)
    assert shown(noise) == [["1 class0", "70", "30"], ["2 class1", "0", "100"]]
    most = LabelNoise(torch.eye(WIDEST, dtype=torch.float64) / WIDEST)
    assert len(shown(most, width=80)) == WIDEST  # no line is broken


def test_the_largest_entries_of_many_classes() -> None:
    classes = WIDEST + 3
    joint = torch.eye(classes, dtype=torch.float64)
    for true in range(classes - 1):  # a share of each class is labelled as the next one
        share = (true + 1) / 20
        joint[true, true], joint[true + 1, true] = 1 - share, share
    expected = [
        [f"class{true}", f"class{true + 1}", f"{5 * (true + 1)}.0%"]
        for true in reversed(range(classes - 1))
    ]
    assert shown(LabelNoise(joint / classes)) == expected[:LARGEST]


def test_of_many_classes_only_what_moves() -> None:
    noise = LabelNoise(torch.eye(WIDEST + 1, dtype=torch.float64) / (WIDEST + 1))
    assert shown(noise) == []
