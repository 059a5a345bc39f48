"""The CSV, and the contact sheet."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
import torch
from PIL import Image

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


def test_as_many_ids_as_samples() -> None:
    with pytest.raises(InputError, match="ids: expected 1, one for each label, got 2"):
        labels_csv(assess(torch.tensor([[0.5, 0.5]]), torch.tensor([0])), ["a", "b"], range(2))


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
