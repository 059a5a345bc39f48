"""Samples of one's own whose labels somebody checked."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from metaloss.checks import InputError
from metaloss.tasks import own_data
from metaloss.tasks.own_parts import own_parts
from tests.tasks.conftest import draw
from tests.tasks.test_own_data import names


def test_a_list_of_names_takes_their_labels_as_right(cats_and_dogs: Path) -> None:
    listed = cats_and_dogs.parent / "clean.txt"
    listed.write_text(f"cat/0.png\n\n{cats_and_dogs}/dog/4.png\n5.png\n")
    source = own_data(cats_and_dogs, clean=listed, size=8)
    assert names(source.clean.ids) == ["0.png", "4.png", "5.png"]
    assert source.clean.targets.tolist() == [0, 1, 1]
    assert names(source.train.ids) == ["1.png", "2.png", "3.png"]


def test_absolute_names_of_relative_data(cats_and_dogs: Path, monkeypatch) -> None:
    listed = cats_and_dogs.parent / "clean.txt"
    listed.write_text(f"{cats_and_dogs}/cat/0.png\n{cats_and_dogs}/dog/4.png\n")
    monkeypatch.chdir(cats_and_dogs.parent)
    assert names(own_data("pets", clean=listed, size=8).clean.ids) == ["0.png", "4.png"]


def test_a_csv_of_names_has_their_right_labels(cats_and_dogs: Path) -> None:
    table = cats_and_dogs.parent / "clean.csv"
    table.write_text("path,label\ncat/0.png,dog\ndog/3.png,dog\n")
    source = own_data(cats_and_dogs, clean=table, size=8)
    assert source.clean.targets.tolist() == [1, 1]
    assert len(source.train) == 4


def test_a_folder_of_further_images(cats_and_dogs: Path) -> None:
    draw(cats_and_dogs.parent / "clean" / "cat" / "8.png", 8)
    shutil.copytree(cats_and_dogs / "dog", cats_and_dogs.parent / "clean" / "dog")
    found = own_parts(cats_and_dogs, clean=cats_and_dogs.parent / "clean")
    assert len(found.parts["clean"]) == 4
    assert names(found.parts["train"].ids) == ["0.png", "1.png", "2.png"]
    assert "3 training samples are clean or test samples, too" in found.notes[0]


def test_ids_of_a_table(tmp_path: Path) -> None:
    table, clean = tmp_path / "table.csv", tmp_path / "clean.csv"
    table.write_text("id,height,label\na,1,x\nb,2,y\nc,3,x\nd,4,y\n")
    clean.write_text("id,label\nb,x\n")
    source = own_data(table, clean=clean)
    assert source.clean.ids == ("b",) and source.clean.targets.tolist() == [0]
    clean.write_text("height,label\n9,y\n")
    source = own_data(table, clean=clean)
    assert source.clean.images.tolist() == [[9]] and len(source.train) == 4


def test_a_list_of_labels_in_which_somebody_has_written_right_ones(cats_and_dogs: Path) -> None:
    table = cats_and_dogs.parent / "labels.csv"
    head = "path,given_label,suggested_label,score,held_out,checked_label\n"
    table.write_text(
        head + "cat/0.png,cat,dog,0.1,no, dog \ncat/1.png,cat,dog,0.2,no,\n"
        "dog/3.png,dog,cat,0.3,yes,dog\ndog/4.png,,,,,cat\n"
    )
    source = own_data(cats_and_dogs, clean=table, size=8)
    assert names(source.clean.ids) == ["0.png", "3.png", "4.png"]
    assert source.clean.targets.tolist() == [1, 1, 0]
    assert names(source.train.ids) == ["1.png", "2.png", "5.png"]


def test_a_list_of_labels_that_a_program_for_tables_saved(cats_and_dogs: Path) -> None:
    table = cats_and_dogs.parent / "labels.csv"
    (cats_and_dogs / "cat" / os.fsdecode(b"\xff.png")).write_bytes(
        (cats_and_dogs / "cat" / "1.png").read_bytes()
    )
    rows = (
        b"path,score,checked_label",
        b"cat/0.png,0.1,dog",
        b"cat/1.png,0.2",
        b"cat/\xff.png,0.3,cat",
    )
    table.write_bytes(b"\r\n".join(rows))  # without the last empty cell, and a name of any bytes
    source = own_data(cats_and_dogs, clean=table, size=8)
    assert source.clean.targets.tolist() == [1, 0]
    assert names(source.clean.ids) == ["0.png", os.fsdecode(b"\xff.png")]


def test_a_list_of_labels_of_a_table_that_has_a_column_score(tmp_path: Path) -> None:
    table, labels = tmp_path / "table.csv", tmp_path / "labels.csv"
    table.write_text("score,label\n1,x\n2,y\n3,x\n4,y\n")
    labels.write_text("id;score;checked_label\n2;0.5;y\n0;0.6;\n")
    source = own_data(table, clean=labels)
    assert source.clean.ids == ("2",) and source.clean.targets.tolist() == [1]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("c.txt", "cat/0.png\nmouse.png\n", "1 of 2 are none, such as mouse.png"),
        ("c.txt", "\n", "expected names of samples, found none"),
        ("c.txt", "cat/0.png\ncat/0.png\n", "expected each name once, 1 occur twice"),
        ("c.csv", "path,label\ncat/0.png,mouse\n", "got others: mouse"),
        ("c.csv", "path\ncat/0.png\n", "the column 'label'"),
        ("c.csv", "path,label\nnowhere.png,cat\n", "1 of them do not exist"),
        (
            "c.csv",
            "path,checked_label\ncat/0.png,\n",
            "'checked_label', got none",
        ),
        ("c.csv", "path,checked_label\ncat/0.png,cot\n", "got others: cot"),
        ("c.csv", "height,label\n1,cat\n", "image files.*got the columns height"),
    ],
)
def test_bad_lists(cats_and_dogs: Path, name: str, text: str, words: str) -> None:
    (cats_and_dogs.parent / name).write_text(text)
    with pytest.raises(InputError, match=words):
        own_data(cats_and_dogs, clean=cats_and_dogs.parent / name, size=8)


def test_a_place_that_is_not_there(cats_and_dogs: Path) -> None:
    nowhere = cats_and_dogs.parent / "nowhere"
    with pytest.raises(InputError, match=r"nowhere: expected .*checked labels.*found nothing"):
        own_data(cats_and_dogs, clean=nowhere, size=8)


def test_all_samples_are_clean(cats_and_dogs: Path) -> None:
    listed = cats_and_dogs.parent / "clean.txt"
    listed.write_text("".join(f"{n}.png\n" for n in range(6)))
    with pytest.raises(InputError, match="got all 6 of them"):
        own_data(cats_and_dogs, clean=listed, size=8)
