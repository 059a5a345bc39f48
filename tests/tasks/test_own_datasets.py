"""Data sets that the library ``datasets`` saved."""

from __future__ import annotations

import builtins
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

from metaloss.checks import InputError
from metaloss.tasks import own_data

datasets.disable_progress_bars()


def saved(data, folder: Path) -> Path:
    data.save_to_disk(str(folder))
    return folder


def images(number: int, size: tuple[int, int] = (6, 5)) -> list[Image.Image]:
    draw = np.random.default_rng(number)
    return [Image.fromarray(draw.integers(0, 256, (*size, 3), dtype=np.uint8)) for _ in range(4)]


def test_images_with_names_of_classes_and_a_test_split(tmp_path: Path) -> None:
    pictures = images(0)
    features = datasets.Features(
        {"image": datasets.Image(), "kind": datasets.ClassLabel(names=["cat", "dog"])}
    )
    train = datasets.Dataset.from_dict({"image": pictures, "kind": [1, 0, 0, 1]}, features=features)
    test = datasets.Dataset.from_dict({"image": images(1), "kind": [0, 0, 1, 1]}, features=features)
    both = datasets.DatasetDict(train=train, test=test)
    source = own_data(saved(both, tmp_path / "pets"), label="kind")
    assert source.train.class_names == ("cat", "dog")
    assert source.train.targets.tolist() == [1, 0, 0, 1]
    assert (source.train.images.permute(0, 2, 3, 1).numpy() == np.stack(pictures)).all()
    assert source.test.targets.tolist() == [0, 0, 1, 1] and not source.test_checked


@pytest.mark.parametrize("none", [-1, None])
def test_missing_labels_are_no_class(tmp_path: Path, none: int | None) -> None:
    kinds = datasets.ClassLabel(names=["cat", "dog"])
    features = datasets.Features({"height": datasets.Value("int64"), "label": kinds})
    rows = {"height": [1, 2, 3], "label": [0, 1, none]}
    data = datasets.Dataset.from_dict(rows, features=features)
    with pytest.raises(InputError, match="expected a label for each sample"):
        own_data(saved(data, tmp_path / "rows"))


def test_columns_of_numbers(tmp_path: Path) -> None:
    rows = {"height": [1, 2, 3], "sizes": [[4.0, 5], [6, 7], [8, 9]], "label": ["a", "b", "a"]}
    source = own_data(saved(datasets.Dataset.from_dict(rows), tmp_path / "rows"))
    assert source.train.images.tolist() == [[1, 4, 5], [2, 6, 7], [3, 8, 9]]
    assert source.train.class_names == ("a", "b")


def test_bad_data(tmp_path: Path) -> None:
    def refused(rows, words: str, **splits) -> None:
        data = datasets.DatasetDict(**splits) if splits else datasets.Dataset.from_dict(rows)
        with pytest.raises(InputError, match=words):
            own_data(saved(data, tmp_path / words[:9].replace(" ", "-")))

    refused({"height": [1, 2]}, "expected a column 'label', got height")
    refused({"text": ["x", "y"], "label": [0, 1]}, "another kind in the column 'text'")
    refused({"label": [0, 1]}, "column of images or numbers, beside|expected a column of images")
    mixed = images(0)[:1] + images(0, (7, 7))[:1]
    refused({"image": mixed, "label": [0, 1]}, "images of one size, got 2 sizes")
    test = datasets.Dataset.from_dict({"height": [1], "label": [0]})
    refused({}, "split named train, got test", test=test)


def test_a_damaged_folder(tmp_path: Path) -> None:
    (tmp_path / "dataset_info.json").write_text("{}")
    with pytest.raises(InputError, match="expected a saved data set, cannot read it"):
        own_data(tmp_path)


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dataset_info.json").write_text("{}")
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "datasets":
            raise ImportError
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r'pip install "metaloss\[datasets\]"'):
        own_data(tmp_path)
