"""Food-101N and Clothing1M, from miniatures in the published layouts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from metaloss.checks import InputError
from metaloss.shim import import_torchvision
from metaloss.tasks import classification_task, clothing1m, food101n, stratified
from tests.helpers.published import DISHES, write_clothing1m, write_food101n, write_lines

# DataLoader warns if there are fewer processors than workers, which is no fault of this code.
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")


def names_of(samples) -> list[str]:
    return ["/".join(Path(file).parts[-2:]) for file in samples.files]


def labels_of(samples) -> dict[str, int]:
    return dict(zip(names_of(samples), samples.targets.tolist(), strict=True))


def test_food101n_trains_on_the_list_and_tests_on_food_101(tmp_path) -> None:
    folder, other = write_food101n(tmp_path)
    source = food101n(tmp_path, tmp_path, size=16)
    assert (source.train.class_names, source.clean) == (DISHES, None)
    assert source.labels_checked is False
    expected = {f"{d}/{d[:3]}{k:02d}.jpg": n for n, d in enumerate(DISHES) for k in range(6)}
    assert labels_of(source.train) == expected
    tested = {f"{d}/{100 + k}.jpg": n for n, d in enumerate(DISHES) for k in range(2)}
    assert labels_of(source.test) == tested
    assert all(file.startswith(str(other)) for file in source.test.files)
    assert labels_of(food101n(folder, other, size=16).train) == expected  # the folders themselves


@pytest.mark.parametrize("clean", ["verified_train", "verified_val"])
def test_food101n_takes_its_clean_images_from_the_verified(tmp_path, clean) -> None:
    write_food101n(tmp_path)
    source = food101n(tmp_path, tmp_path, size=16, clean=clean)
    # verified_train: images 0 and 1 of each dish are right, 2 is wrong, and one is in no list.
    right = (
        {f"{dish}/{dish[:3]}0{k}.jpg": n for n, dish in enumerate(DISHES) for k in range(2)}
        if clean == "verified_train"
        else {"apple_pie/app03.jpg": 0}
    )
    assert labels_of(source.clean) == right
    assert set(names_of(source.train)).isdisjoint(right)
    assert len(source.train) + len(right) == 18


def test_a_task_of_food101n_takes_meta_samples_from_the_verified(tmp_path) -> None:
    write_food101n(tmp_path)
    source = food101n(tmp_path, tmp_path, size=16, clean="verified_train", workers=1)
    task = classification_task(
        data=source, num_meta=3, meta_from="clean", batch_size=5, meta_batch_size=3
    )
    batch = next(task.train.epoch(0))
    assert batch.inputs.shape == (5, 3, 16, 16)
    assert (task.meta_checked, task.test_checked, task.noise) == (True, True, None)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f, o: (f / "images/baklava/bak05.jpg").unlink(), "12 images that imagelist.tsv"),
        (lambda f, o: (o / "images/baklava/100.jpg").unlink(), r"6 .* test.txt names, 1 of them"),
        (
            lambda f, o: write_lines(f / "meta/classes.txt", "class_name", *DISHES[:2]),
            r"imagelist\.tsv: expected images of the 2 classes .* got 4 others, such as 'baklava",
        ),
        (
            lambda f, o: write_lines(f / "meta/verified_train.tsv", "baklava/bak01.jpg\tyes"),
            r"verified_train\.tsv: expected an image and 0 or 1 .* got 1 others",
        ),
        (lambda f, o: (f / "meta/verified_train.tsv").unlink(), "verified_train.tsv: cannot be re"),
        (lambda f, o: (f / "meta/imagelist.tsv").write_text("class_name/key\n"), "an empty file"),
        (
            lambda f, o: (o / "meta/test.txt").unlink(),
            r"meta/test\.txt is missing; .*food-101",
        ),
    ],
)
def test_damaged_food101n(tmp_path, spoil, words) -> None:
    spoil(*write_food101n(tmp_path))
    with pytest.raises(InputError, match=words) as caught:
        food101n(tmp_path, tmp_path, clean="verified_train")
    assert "\n" not in str(caught.value)


def test_clothing1m_has_the_labels_of_its_lists(tmp_path) -> None:
    root = write_clothing1m(tmp_path)
    source = clothing1m(root, size=14, workers=0)
    for samples, labels, keys in (
        (source.train, "noisy_label_kv", "noisy_train_key_list"),
        (source.clean, "clean_label_kv", "clean_train_key_list"),
        (source.test, "clean_label_kv", "clean_test_key_list"),
    ):
        known = dict(line.split(" ") for line in (root / f"{labels}.txt").read_text().splitlines())
        listed = (root / f"{keys}.txt").read_text().splitlines()
        assert [Path(file).relative_to(root).as_posix() for file in samples.files] == listed
        assert samples.targets.tolist() == [int(known[key]) for key in listed]
    assert source.train.class_names[3] == "Garment 3"
    assert (len(source.train), source.labels_checked) == (57, False)


def test_clothing1m_is_scaled_in_both_directions_and_cropped(tmp_path) -> None:
    source = clothing1m(write_clothing1m(tmp_path), size=14)
    with Image.open(source.train.files[0]) as image:
        scaled = image.convert("RGB").resize((16, 16), Image.Resampling.BILINEAR)
    crop = import_torchvision().transforms.functional.to_tensor(scaled)[:, 1:15, 1:15]
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, :, None, None]
    for transform in (source.train.train_transform, source.train.eval_transform):
        with Image.open(source.train.files[0]) as image:
            torch.testing.assert_close(transform(image.convert("RGB")), (crop - mean) / std)


def test_clothing1m_takes_a_part_with_the_classes_in_proportion(tmp_path) -> None:
    root = write_clothing1m(tmp_path)
    whole = clothing1m(root).train.targets.bincount(minlength=14)
    first, again = clothing1m(root, subset=20), clothing1m(root, subset=20)
    other = clothing1m(root, subset=20, seed=1)
    share = first.train.targets.bincount(minlength=14) - whole * 20 / 57
    assert len(first.train) == 20
    assert float(share.abs().max()) < 1
    assert first.train.files == again.train.files != other.train.files


def test_clothing1m_does_not_train_on_what_it_judges_by(tmp_path) -> None:
    root = write_clothing1m(tmp_path)
    lists = [root / f"{part}_key_list.txt" for part in ("noisy_train", "clean_test", "clean_train")]
    extra = [path.read_text().splitlines()[0] for path in lists[1:]]
    noisy = lists[0].read_text().splitlines()
    write_lines(lists[0], *noisy, *extra, noisy[0])  # one of them twice
    labels = root / "noisy_label_kv.txt"
    labels.write_text(labels.read_text() + "".join(f"{key} 0\n" for key in extra))
    assert len(clothing1m(root).train) == 57
    assert len(clothing1m(root, clean=None).train) == 58


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda r: (r / "clean_label_kv.txt").unlink(), r"clean_label_kv\.txt is missing; downl"),
        (lambda r: (r / "images/3/noisy_train/13,20.jpg").unlink(), r"57 .* such as \S+13,20\.jpg"),
        (
            lambda r: write_lines(r / "category_names_eng.txt", "Shirt", "Dress"),
            "expected 14 names of classes, got 2",
        ),
        (
            lambda r: write_lines(r / "noisy_label_kv.txt", "images/0/a.jpg 14", "images/0/b.jpg"),
            r"label in 0\.\.13 in each line, got 2 others, such as 'images/0/a\.jpg 14'",
        ),
        (
            lambda r: write_lines(r / "noisy_label_kv.txt", "images/0/noisy_train/0,7.jpg 3"),
            r"noisy_train_key_list\.txt: expected images that have a label, got 56 others",
        ),
    ],
)
def test_damaged_clothing1m(tmp_path, spoil, words) -> None:
    root = write_clothing1m(tmp_path)
    spoil(root)
    with pytest.raises(InputError, match=words) as caught:
        clothing1m(root)
    assert "\n" not in str(caught.value)


@pytest.mark.bad_input
def test_bad_arguments(tmp_path) -> None:
    root = write_clothing1m(tmp_path / "c")
    write_food101n(tmp_path)
    for size in (0, 58, 2.5):
        with pytest.raises(InputError, match="subset: expected"):
            clothing1m(root, subset=size)
    with pytest.raises(InputError, match="one of clean_train, clean_val, got 'test'"):
        clothing1m(root, clean="test")
    with pytest.raises(InputError, match="one of verified_train, verified_val, got 'train'"):
        food101n(tmp_path, tmp_path, clean="train")


@pytest.mark.parametrize("size", [1, 7, 50, 99, 100])
def test_a_stratified_part_rounds_each_share_up_or_down(size) -> None:
    labels = torch.tensor([0] * 61 + [2] * 29 + [3] * 10)[torch.randperm(100)]
    chosen = stratified(labels, size, torch.Generator().manual_seed(3))
    shares = torch.tensor([61, 0, 29, 10]) * size / 100
    found = labels[chosen].bincount(minlength=4)
    assert chosen.tolist() == sorted(set(chosen.tolist())) and len(chosen) == size
    assert bool(((found - shares).abs() < 1).all())
