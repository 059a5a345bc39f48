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
from metaloss.tasks.own_data import own_source
from metaloss.tasks.own_parts import own_parts
from metaloss.tasks.own_reading import read_records


def draw(path: Path, number: int, size: tuple[int, int] = (9, 7)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Three images of each of two classes."""
    for number in range(6):
        draw(tmp_path / "pets" / ("cat", "dog")[number // 3] / f"{number}.png", number)
    return tmp_path / "pets"


def names(paths) -> list[str]:
    return [Path(path).name for path in paths]


def test_class_folders(pets: Path) -> None:
    source = own_data(pets, size=8)
    assert source.train.class_names == ("cat", "dog")
    assert source.train.targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert source.train.images.shape == (6, 3, 8, 8)
    assert names(source.train.ids) == [f"{n}.png" for n in range(6)]
    assert source.test is None and source.clean is None


@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("train", "val")])
def test_parts_in_folders_are_found_and_their_test_labels_count_as_unchecked(
    pets: Path, train: str, test: str
) -> None:
    root = pets.parent / "parts"
    shutil.copytree(pets, root / train)
    draw(root / test / "dog" / "9.png", 9)
    source = own_data(root, size=8)
    assert len(source.train) == 6
    assert source.test.targets.tolist() == [1]
    assert not source.test_checked


def test_a_class_may_be_called_train(pets: Path) -> None:
    draw(pets / "train" / "7.png", 7)
    assert own_data(pets, size=8).train.class_names == ("cat", "dog", "train")


def test_given_test_samples_count_as_checked(pets: Path) -> None:
    draw(pets.parent / "more" / "cat" / "8.png", 8)
    source = own_data(pets, test=pets.parent / "more", size=8)
    assert source.test.targets.tolist() == [0]
    assert source.test_checked


def test_training_samples_stand_in_for_test_samples(pets: Path) -> None:
    source = own_data(pets, size=8, train_as_test=True)
    assert source.test is source.train and not source.test_checked
    task = classification_task(
        data=source, num_meta=0, batch_size=2, allow_overlap=True, name="pets"
    )
    assert task.test.num_samples == 6 and not task.test_checked
    assert names(task.train_ids) != [] and len(task.train_ids) == 6


def test_images_stay_in_files_if_told_so(pets: Path) -> None:
    source = own_data(pets, size=8, in_memory=False)
    assert isinstance(source.train, FolderSet)
    assert source.train.sample_shape == (3, 8, 8)
    with pytest.raises(InputError, match="size: expected a number for images that stay in files"):
        own_data(pets, in_memory=False)


@pytest.mark.parametrize("in_memory", [True, False])
def test_damaged_images_are_left_out_and_named(pets: Path, in_memory: bool) -> None:
    (pets / "cat" / "bad.png").write_bytes(b"no image")
    found = own_source(own_parts(pets), size=8, in_memory=in_memory)
    assert len(found.source.train) == 6
    assert names(found.source.train.ids)[:3] == ["0.png", "1.png", "2.png"]
    assert found.source.train.targets.tolist() == [0, 0, 0, 1, 1, 1]
    (remark,) = found.remarks
    assert "1 of 7 images cannot be read and are left out" in remark and "bad.png" in remark
    with pytest.raises(InputError, match=r"1 images cannot be read: .*bad.png"):
        own_data(pets, size=8, in_memory=in_memory, strict=True)


def test_no_readable_image(pets: Path) -> None:
    for path in pets.rglob("*.png"):
        path.write_bytes(path.name.encode())
    with pytest.raises(InputError, match="none of 6 can be read"):
        own_data(pets, size=8)


def test_repeated_images_are_counted_and_contradictions_named(pets: Path) -> None:
    shutil.copy(pets / "cat" / "0.png", pets / "dog" / "copy.png")
    shutil.copy(pets / "cat" / "1.png", pets / "cat" / "same.png")
    (remark,) = own_parts(pets).remarks
    assert "4 training samples occur twice or more, 2 of them with different labels" in remark
    assert "0.png" in remark and "copy.png" in remark


def test_a_csv_of_images(pets: Path) -> None:
    table = pets / "labels.csv"
    table.write_text("label;path\nwet;dog/3.png\ndry;cat/0.png\n")
    source = own_data(table, size=8)
    assert source.train.class_names == ("dry", "wet")
    assert source.train.targets.tolist() == [1, 0]
    assert torch.equal(source.train.images, own_data(pets, size=8).train.images[[3, 0]])


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


class TestClean:
    def test_a_list_of_names_takes_their_labels_as_right(self, pets: Path) -> None:
        listed = pets.parent / "clean.txt"
        listed.write_text(f"cat/0.png\n\n{pets}/dog/4.png\n5.png\n")
        source = own_data(pets, clean=listed, size=8)
        assert names(source.clean.ids) == ["0.png", "4.png", "5.png"]
        assert source.clean.targets.tolist() == [0, 1, 1]
        assert names(source.train.ids) == ["1.png", "2.png", "3.png"]

    def test_absolute_names_of_relative_data(self, pets: Path, monkeypatch) -> None:
        listed = pets.parent / "clean.txt"
        listed.write_text(f"{pets}/cat/0.png\n{pets}/dog/4.png\n")
        monkeypatch.chdir(pets.parent)
        assert names(own_data("pets", clean=listed, size=8).clean.ids) == ["0.png", "4.png"]

    def test_a_csv_of_names_has_their_right_labels(self, pets: Path) -> None:
        table = pets.parent / "clean.csv"
        table.write_text("path,label\ncat/0.png,dog\ndog/3.png,dog\n")
        source = own_data(pets, clean=table, size=8)
        assert source.clean.targets.tolist() == [1, 1]
        assert len(source.train) == 4

    def test_a_folder_of_further_images(self, pets: Path) -> None:
        draw(pets.parent / "clean" / "cat" / "8.png", 8)
        shutil.copytree(pets / "dog", pets.parent / "clean" / "dog")
        found = own_parts(pets, clean=pets.parent / "clean")
        assert len(found.parts["clean"]) == 4
        assert names(found.parts["train"].ids) == ["0.png", "1.png", "2.png"]
        assert "3 training samples are clean or test samples, too" in found.remarks[0]

    def test_ids_of_a_table(self, tmp_path: Path) -> None:
        table, clean = tmp_path / "table.csv", tmp_path / "clean.csv"
        table.write_text("id,height,label\na,1,x\nb,2,y\nc,3,x\nd,4,y\n")
        clean.write_text("id,label\nb,x\n")
        source = own_data(table, clean=clean)
        assert source.clean.ids == ("b",) and source.clean.targets.tolist() == [0]
        clean.write_text("height,label\n9,y\n")
        source = own_data(table, clean=clean)
        assert source.clean.images.tolist() == [[9]] and len(source.train) == 4

    @pytest.mark.parametrize(
        ("name", "text", "words"),
        [
            ("c.txt", "cat/0.png\nmouse.png\n", "1 of 2 are none, such as mouse.png"),
            ("c.txt", "\n", "expected names of samples, found none"),
            ("c.txt", "cat/0.png\ncat/0.png\n", "expected each name once, 1 occur twice"),
            ("c.csv", "path,label\ncat/0.png,mouse\n", "got others: mouse"),
            ("c.csv", "path\ncat/0.png\n", "the column 'label'"),
            ("c.csv", "path,label\nnowhere.png,cat\n", "1 of them do not exist"),
            ("c.csv", "height,label\n1,cat\n", "image files.*got the columns height"),
        ],
    )
    def test_bad_lists(self, pets: Path, name: str, text: str, words: str) -> None:
        (pets.parent / name).write_text(text)
        with pytest.raises(InputError, match=words):
            own_data(pets, clean=pets.parent / name, size=8)

    def test_all_samples_are_clean(self, pets: Path) -> None:
        listed = pets.parent / "clean.txt"
        listed.write_text("".join(f"{n}.png\n" for n in range(6)))
        with pytest.raises(InputError, match="got all 6 of them"):
            own_data(pets, clean=listed, size=8)


class TestBadInput:
    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="expected a folder with a folder of images"):
            own_data(tmp_path / "nowhere")

    def test_another_kind_of_file(self, tmp_path: Path) -> None:
        (tmp_path / "data.xlsx").write_bytes(b"")
        with pytest.raises(InputError, match="got a file of another kind"):
            own_data(tmp_path / "data.xlsx")

    def test_an_empty_class(self, pets: Path) -> None:
        (pets / "mouse").mkdir()
        with pytest.raises(InputError, match="found none of mouse"):
            own_data(pets, size=8)

    def test_one_class(self, pets: Path) -> None:
        shutil.rmtree(pets / "dog")
        with pytest.raises(InputError, match="expected two classes or more, got 1: cat"):
            own_data(pets, size=8)

    def test_images_that_are_not_there_are_counted(self, pets: Path) -> None:
        (pets / "t.csv").write_text("path,label\ncat/0.png,a\nx.png,b\ny.png,a\n")
        with pytest.raises(InputError, match=r"expected 3 images, 2 of them do not exist.*x\.png"):
            own_data(pets / "t.csv")

    def test_a_cell_that_is_no_number(self, tmp_path: Path) -> None:
        (tmp_path / "t.csv").write_text("height,city,label\n1,Paris,a\n,Rome,b\n")
        with pytest.raises(InputError, match="3 cells are none, such as '' in 'height' on line 3"):
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

    def test_test_samples_of_another_class_or_kind(self, pets: Path, tmp_path: Path) -> None:
        draw(tmp_path / "more" / "mouse" / "1.png", 8)
        with pytest.raises(InputError, match="got others: mouse"):
            own_data(pets, test=tmp_path / "more", size=8)
        (tmp_path / "t.csv").write_text("height,label\n1,cat\n2,dog\n")
        with pytest.raises(InputError, match=r"image files.*got the columns height"):
            own_data(pets, test=tmp_path / "t.csv", size=8)

    def test_all_training_samples_are_test_samples(self, pets: Path) -> None:
        with pytest.raises(InputError, match="all 6 are"):
            own_data(pets, test=pets, size=8)

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
