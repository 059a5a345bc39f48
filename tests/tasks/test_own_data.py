"""Data sets of one's own, from whatever holds them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from metaloss.checks import InputError
from metaloss.tasks import FolderSet, classification_task, own_data
from metaloss.tasks.own_parts import own_parts
from metaloss.tasks.own_reading import read_records
from metaloss.tasks.own_source import ImageReading, own_source
from tests.tasks.conftest import draw


def names(paths) -> list[str]:
    return [Path(path).name for path in paths]


def test_class_folders(cats_and_dogs: Path) -> None:
    source = own_data(cats_and_dogs, size=8)
    assert source.train.class_names == ("cat", "dog")
    assert source.train.targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert source.train.images.shape == (6, 3, 8, 8)
    assert names(source.train.ids) == [f"{n}.png" for n in range(6)]
    assert source.test is None and source.clean is None


@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("train", "val")])
def test_parts_in_folders_are_found_and_their_test_labels_count_as_unchecked(
    cats_and_dogs: Path, train: str, test: str
) -> None:
    root = cats_and_dogs.parent / "parts"
    shutil.copytree(cats_and_dogs, root / train)
    draw(root / test / "dog" / "9.png", 9)
    source = own_data(root, size=8)
    assert len(source.train) == 6
    assert source.test.targets.tolist() == [1]
    assert not source.test_checked


def test_a_class_may_be_called_train(cats_and_dogs: Path) -> None:
    draw(cats_and_dogs / "train" / "7.png", 7)
    assert own_data(cats_and_dogs, size=8).train.class_names == ("cat", "dog", "train")


def test_given_test_samples_count_as_checked(cats_and_dogs: Path) -> None:
    draw(cats_and_dogs.parent / "more" / "cat" / "8.png", 8)
    source = own_data(cats_and_dogs, test=cats_and_dogs.parent / "more", size=8)
    assert source.test.targets.tolist() == [0]
    assert source.test_checked


def test_training_samples_stand_in_for_test_samples(cats_and_dogs: Path) -> None:
    source = own_data(cats_and_dogs, size=8, train_as_test=True)
    assert source.test is source.train and not source.test_checked
    task = classification_task(
        data=source, num_meta=0, batch_size=2, allow_overlap=True, name="pets"
    )
    assert task.test.num_samples == 6 and not task.test_checked
    assert names(task.train_ids) != [] and len(task.train_ids) == 6


def test_images_stay_in_files_if_told_so(cats_and_dogs: Path) -> None:
    source = own_data(cats_and_dogs, size=8, in_memory=False)
    assert isinstance(source.train, FolderSet)
    assert source.train.sample_shape == (3, 8, 8)
    with pytest.raises(InputError, match="size: expected a number for images that stay in files"):
        own_data(cats_and_dogs, in_memory=False)


@pytest.mark.parametrize("flip", [True, False])
def test_images_in_files_are_flipped_only_if_told_so(cats_and_dogs: Path, flip: bool) -> None:
    train = own_data(cats_and_dogs, size=8, in_memory=False, flip=flip).train
    half = Image.new("RGB", (8, 8))
    half.paste((255, 255, 255), (0, 0, 4, 8))  # white on the left
    torch.manual_seed(0)
    whiter_left = [
        bool(t[..., 0].mean() > t[..., -1].mean()) for t in map(train.train_transform, [half] * 20)
    ]
    assert all(whiter_left) != flip


@pytest.mark.parametrize("in_memory", [True, False])
def test_damaged_images_are_left_out_and_named(cats_and_dogs: Path, in_memory: bool) -> None:
    (cats_and_dogs / "cat" / "bad.png").write_bytes(b"no image")
    found = own_source(own_parts(cats_and_dogs), ImageReading(size=8, in_memory=in_memory))
    assert len(found.source.train) == 6
    assert names(found.source.train.ids)[:3] == ["0.png", "1.png", "2.png"]
    assert found.source.train.targets.tolist() == [0, 0, 0, 1, 1, 1]
    (note,) = found.notes
    assert "1 of 7 images cannot be read and are left out" in note and "bad.png" in note
    with pytest.raises(InputError, match=r"1 images cannot be read: .*bad.png"):
        own_data(cats_and_dogs, size=8, in_memory=in_memory, strict=True)


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("kind", ["jpg", "png", "bmp"])
def test_images_that_were_copied_in_part_are_damaged(
    cats_and_dogs: Path, kind: str, in_memory: bool
) -> None:
    whole = cats_and_dogs / "cat" / f"whole.{kind}"
    Image.effect_noise((64, 64), 60).convert("RGB").save(whole)
    part = cats_and_dogs / "cat" / f"part.{kind}"
    part.write_bytes(whole.read_bytes()[:-400])
    found = own_source(own_parts(cats_and_dogs), ImageReading(size=8, in_memory=in_memory))
    assert len(found.source.train) == 7
    assert "1 of 8 images cannot be read" in found.notes[0] and part.name in found.notes[0]


def test_images_have_the_size_of_the_first_that_can_be_read(cats_and_dogs: Path) -> None:
    (cats_and_dogs / "cat" / "0.png").write_bytes(b"no image")
    found = own_source(own_parts(cats_and_dogs))
    assert found.source.train.images.shape == (5, 3, 9, 7)
    assert "1 of 6 images cannot be read" in found.notes[0]
    with pytest.raises(InputError, match=r"0.png: expected an image, cannot read it"):
        own_data(cats_and_dogs, strict=True)


@pytest.mark.parametrize("size", [8, None])
def test_no_readable_image(cats_and_dogs: Path, size: int | None) -> None:
    for path in cats_and_dogs.rglob("*.png"):
        path.write_bytes(path.name.encode())
    with pytest.raises(InputError, match="none of 6 can be read"):
        own_data(cats_and_dogs, size=size)


def test_a_class_named_as_a_missing_label_is_noted(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("height,label\n1,a\n2,nan\n3,b\n4,NaN\n")
    (note,) = (said for said in own_parts(tmp_path / "t.csv").notes if "missing" in said)
    assert note.endswith("'NaN' (1); 'nan' (1)")


def test_repeated_images_are_counted_and_contradictions_named(cats_and_dogs: Path) -> None:
    shutil.copy(cats_and_dogs / "cat" / "0.png", cats_and_dogs / "dog" / "copy.png")
    shutil.copy(cats_and_dogs / "cat" / "1.png", cats_and_dogs / "cat" / "same.png")
    (note,) = own_parts(cats_and_dogs).notes
    assert "4 training samples occur twice or more, 2 of them with different labels" in note
    assert "0.png" in note and "copy.png" in note


def test_a_csv_of_images(cats_and_dogs: Path) -> None:
    table = cats_and_dogs / "labels.csv"
    table.write_text("label;path\nwet;dog/3.png\ndry;cat/0.png\n")
    source = own_data(table, size=8)
    assert source.train.class_names == ("dry", "wet")
    assert source.train.targets.tolist() == [1, 0]
    assert torch.equal(source.train.images, own_data(cats_and_dogs, size=8).train.images[[3, 0]])


def test_a_csv_of_numbers(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("id,height,label,width\na,1,10,2\nb,3,9,4.5\n")
    train = own_data(table).train
    assert train.images.tolist() == [[1, 2], [3, 4.5]]
    assert train.columns == ("height", "width") and train.ids == ("a", "b")
    assert train.class_names == ("9", "10") and train.targets.tolist() == [1, 0]


def test_arrays(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)
    np.savez(
        tmp_path / "a.npz",
        x=images,
        y=["b", "a", "b", "a", "a"],
        X_test=images[:1] // 2,
        Y_test=["b"],
    )
    source = own_data(tmp_path / "a.npz")
    assert source.train.images.equal(torch.from_numpy(images).permute(0, 3, 1, 2))
    assert source.train.targets.tolist() == [1, 0, 1, 0, 0]
    assert source.test.targets.tolist() == [1]
    np.savez(tmp_path / "b.npz", features=np.arange(6.0).reshape(3, 2), labels=[0, 1, 1])
    assert own_data(tmp_path / "b.npz").train.images.tolist() == [[0, 1], [2, 3], [4, 5]]


def test_standardised_features_have_mean_0_and_deviation_1(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(7, 3, (40, 2))
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(40) % 2)
    task = classification_task(
        data=own_data(tmp_path / "a.npz"), num_meta=0, num_test=10, batch_size=5, standardise=True
    )
    train = torch.cat([batch.inputs for batch in task.train.in_order().epoch(0)])
    assert train.mean(0).abs().max() < 1e-6
    assert (train.std(0, correction=0) - 1).abs().max() < 1e-6
    assert task.inputs.mean is not None and len(task.inputs.mean) == 2


class TestBadInput:
    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="expected a folder with a folder of images"):
            own_data(tmp_path / "nowhere")

    def test_another_kind_of_file(self, tmp_path: Path) -> None:
        (tmp_path / "data.xlsx").write_bytes(b"")
        with pytest.raises(InputError, match="got a file of another kind"):
            own_data(tmp_path / "data.xlsx")

    def test_an_empty_class(self, cats_and_dogs: Path) -> None:
        (cats_and_dogs / "mouse").mkdir()
        with pytest.raises(InputError, match="found none of mouse"):
            own_data(cats_and_dogs, size=8)

    def test_one_class(self, cats_and_dogs: Path) -> None:
        shutil.rmtree(cats_and_dogs / "dog")
        with pytest.raises(InputError, match="expected two classes or more, got 1: cat"):
            own_data(cats_and_dogs, size=8)

    def test_images_that_are_not_there_are_counted(self, cats_and_dogs: Path) -> None:
        (cats_and_dogs / "t.csv").write_text("path,label\ncat/0.png,a\nx.png,b\ny.png,a\n")
        with pytest.raises(InputError, match=r"expected 3 images, 2 of them do not exist.*x\.png"):
            own_data(cats_and_dogs / "t.csv")

    def test_a_cell_that_is_no_number(self, tmp_path: Path) -> None:
        (tmp_path / "t.csv").write_text("height,city,label\n1,Paris,a\n,Rome,b\n")
        with pytest.raises(InputError, match="3 cells are none, such as '' in 'height' on line 3"):
            own_data(tmp_path / "t.csv")

    def test_paths_of_images_in_a_column_of_another_name(self, tmp_path: Path) -> None:
        (tmp_path / "t.csv").write_text("filename,label\na.JPG,a\nb.JPG,b\n")
        with pytest.raises(InputError, match=r"'filename' on line 2; if .* the column 'path'"):
            own_data(tmp_path / "t.csv")

    def test_decimal_commas_and_a_column_of_labels_of_another_name(self, tmp_path: Path) -> None:
        (tmp_path / "t.csv").write_text("height;kind\n1,5;a\n2;b\n")
        with pytest.raises(InputError, match=r"named 'label'.*--label.* got 'height', 'kind'"):
            own_data(tmp_path / "t.csv")
        with pytest.raises(InputError, match="'1,5' in 'height' on line 2; write a point"):
            own_data(tmp_path / "t.csv", label="kind")

    def test_labels_and_ids(self, tmp_path: Path) -> None:
        table = tmp_path / "t.csv"
        for text, words in (
            ("height,label\n1,a\n2,\n", "some are empty"),
            ("id,height,label\nq,1,a\nq,2,b\n", "1 names occur twice or more, such as q"),
            ("label\na\nb\n", "columns of numbers, beside 'label'"),
        ):
            table.write_text(text)
            with pytest.raises(InputError, match=words):
                own_data(table)

    def test_test_samples_of_another_class_or_kind(
        self, cats_and_dogs: Path, tmp_path: Path
    ) -> None:
        draw(tmp_path / "more" / "mouse" / "1.png", 8)
        with pytest.raises(InputError, match="got others: mouse"):
            own_data(cats_and_dogs, test=tmp_path / "more", size=8)
        (tmp_path / "t.csv").write_text("height,label\n1,cat\n2,dog\n")
        with pytest.raises(InputError, match=r"image files.*got the columns height"):
            own_data(cats_and_dogs, test=tmp_path / "t.csv", size=8)

    def test_all_training_samples_are_test_samples(self, cats_and_dogs: Path) -> None:
        with pytest.raises(InputError, match="all 6 are"):
            own_data(cats_and_dogs, test=cats_and_dogs, size=8)

    @pytest.mark.parametrize(
        ("arrays", "words"),
        [
            ({"y": [0, 1]}, "expected inputs named inputs or x"),
            ({"x": np.zeros((2, 3))}, "expected labels named labels or y"),
            ({"x": np.zeros((2, 3)), "y": [[0], [1]]}, "expected labels \\[samples\\]"),
            ({"x": np.zeros((2, 3)), "y": [0.5, 1.5]}, "words or whole numbers"),
            ({"x": np.zeros(2), "y": [0, 1]}, "expected inputs \\[samples, ...\\]"),
            ({"x": np.zeros((2, 5, 5, 2), np.uint8), "y": [0, 1]}, "1 or 3 channels"),
            ({"x": np.zeros((3, 3)), "y": [0, 1]}, "got 2 names, 2 labels and 3 samples"),
            ({"x": np.full((2, 3), np.nan), "y": [0, 1]}, "finite"),
        ],
    )
    def test_bad_arrays(self, tmp_path: Path, arrays, words: str) -> None:
        np.savez(tmp_path / "a.npz", **arrays)
        with pytest.raises(InputError, match=words):
            own_data(tmp_path / "a.npz")

    def test_a_damaged_file_of_arrays(self, tmp_path: Path) -> None:
        (tmp_path / "a.npz").write_bytes(b"PK nothing")
        with pytest.raises(InputError, match=r"a.npz: expected an .npz file"):
            read_records(tmp_path / "a.npz")

    def test_objects_in_a_file_are_not_read(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz", x=np.zeros((2, 3)), y=np.array([{}, []], dtype=object))
        with pytest.raises(InputError, match="cannot read it"):
            read_records(tmp_path / "a.npz")
