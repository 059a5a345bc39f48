"""The CSV, and the contact sheet."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from metaloss.checked_labels import checked_labels
from metaloss.checks import InputError
from metaloss.labels import assess, labels_csv
from metaloss.labels.sheet import Picture, contact_sheet, images_of
from tests.helpers.tasks import blobs

NAMES = ['comma, "quote"', "Übergröße", "line\nend", " space ", "=1+1"]


def test_the_csv_reads_back_whatever_the_names() -> None:
    draw = torch.Generator().manual_seed(0)
    p = torch.randn(60, 5, generator=draw).softmax(dim=1)
    labels = torch.randint(5, (60,), generator=draw)
    found = assess(p, labels)
    paths = [f'folder, "a"/ü{i}.png' for i in range(60)]
    text = labels_csv(found, NAMES, paths, column="path")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    ends = ["held_out", "checked_label"]
    assert rows[0] == ["path", "given_label", "suggested_label", "score", *ends]
    assert {row[0] for row in rows[1:]} == set(paths)
    scores = [float(row[3]) for row in rows[1:]]
    assert scores == sorted(scores)
    for path, given, suggested, score, held_out, checked in rows[1:]:
        assert (held_out, checked) == ("no", "")
        i = paths.index(path)
        assert NAMES.index(given) == int(labels[i])
        assert NAMES.index(suggested) == int(p[i].argmax())
        assert float(score) == pytest.approx(float(found.score()[i]), rel=1e-5)


def test_checked_labels_are_written_and_read_back(tmp_path: Path) -> None:
    found = assess(torch.tensor([[0.5, 0.5], [0.1, 0.9]]), torch.tensor([0, 0]))
    assert checked_labels(tmp_path / "labels.csv") is None
    rights = {"1": "b,\n1", "clean": "a"}
    text = labels_csv(found, ["a", "b,\n1"], range(2), checked=rights)
    assert text.splitlines()[-1] == "clean,,,,,a"
    (tmp_path / "labels.csv").write_text(text)
    assert checked_labels(tmp_path / "labels.csv") == rights
    (tmp_path / "labels.csv").write_text("\ufeffid\tchecked_label\r\n1\tb\r\n2\t\r\n3\r\n")
    assert checked_labels(tmp_path / "labels.csv") == {"1": "b"}
    (tmp_path / "labels.csv").write_text("id,given_label\n1,b\n")
    assert checked_labels(tmp_path / "labels.csv") is None


def test_a_sample_has_one_right_label(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("id,checked_label\n6,cat\n6,cat\n")
    assert checked_labels(path) == {"6": "cat"}
    path.write_text("id,checked_label\n6,cat\n7,\n6,dog\n")
    with pytest.raises(InputError, match=r"line 4: expected one right .* 'cat' and 'dog' for"):
        checked_labels(path)


@pytest.mark.parametrize("row", ["7,cat,,dog", "7,cat, black,dog,"])
def test_a_checked_label_in_a_row_of_other_cells_is_not_lost(tmp_path: Path, row: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(f"id,given_label,checked_label\n6,cat,dog\n\n{row}\n")
    with pytest.raises(InputError, match=r"labels.csv, line 4: expected 3 cells .*, got [45];"):
        checked_labels(path)


def test_as_many_ids_as_samples() -> None:
    with pytest.raises(InputError, match="ids: expected 1, one for each label, got 2"):
        labels_csv(assess(torch.tensor([[0.5, 0.5]]), torch.tensor([0])), ["a", "b"], range(2))


@pytest.mark.drawn
def test_a_sheet_grows_by_rows_and_takes_any_name() -> None:
    image = np.zeros((8, 8))
    sizes = []
    for count in (1, 8, 9):
        names = [*NAMES, "$x^2$", "very" * 30, "字"]
        pictures = [Picture(image, names[i % 8], names[-1 - i % 8]) for i in range(count)]
        sizes.append(Image.open(io.BytesIO(contact_sheet(pictures))).size)
    assert sizes[0] == sizes[1]
    assert sizes[2][0] == sizes[0][0] and sizes[2][1] > 1.5 * sizes[0][1]


def test_a_file_that_is_no_image_is_named(tmp_path) -> None:
    (tmp_path / "a.png").write_text("no")
    with pytest.raises(InputError, match=r"a.png: expected an image"):
        images_of(blobs().train, [0], [str(tmp_path / "a.png")])


def test_samples_that_are_no_images_have_no_sheet() -> None:
    assert images_of(blobs().train, [0]) is None


def test_photos_are_shown_upright(tmp_path: Path) -> None:
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, :4] = 255
    turned = Image.Exif()
    turned[0x0112] = 6  # turn it by a quarter to show it
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=turned)
    (shown,) = images_of(None, [0], [str(tmp_path / "a.png")])
    assert shown.shape == (8, 4, 3) and (shown[:4] == 255).all() and (shown[4:] == 0).all()
