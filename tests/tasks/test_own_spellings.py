"""Labels that are two spellings of one class."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaloss.tasks.own_parts import own_parts
from metaloss.tasks.own_spellings import spellings


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        (["1", "1.0", "2", "1.0"], "'1' (1) and '1.0' (2)"),
        (["01", "1", "+1", "1e0"], "'+1' (1) and '01' (1) and '1' (1) and '1e0' (1)"),
        (["cat", "Cat", "dog", "CAT"], "'CAT' (1) and 'Cat' (1) and 'cat' (1)"),
        (["big cat", " big  cat"], "' big  cat' (1) and 'big cat' (1)"),
        (["caf\u00e9", "cafe\u0301"], "'cafe\u0301' (1) and 'caf\u00e9' (1)"),
        (["0", "-0", "a", "A"], "'-0' (1) and '0' (1); 'A' (1) and 'a' (1)"),
    ],
)
def test_both_spellings_are_named(labels: list[str], named: str) -> None:
    said = spellings(labels)
    assert said is not None and said.partition("samples: ")[2] == named


@pytest.mark.parametrize(
    "labels",
    [
        ["cat", "dog"],
        ["1", "10", "1_0"],
        ["nan", "inf", "1"],
        ["10000000000000001", "10000000000000000"],
        ["cat", "cats"],
    ],
)
def test_other_labels_are_different(labels: list[str]) -> None:
    assert spellings(labels) is None


def test_of_many_a_few_are_named() -> None:
    said = spellings([f"{case}{i}" for i in range(7) for case in "aA"])
    assert said is not None and said.endswith("'A4' (1) and 'a4' (1); 2 more")


def test_the_note_is_one_of_the_data(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("height,label\n1,1\n2,1.0\n3,2\n4,2\n")
    found = own_parts(table)
    assert found.class_names == ("1", "1.0", "2")
    assert found.notes == (spellings(["1", "1.0", "2", "2"]),)
