"""Tiny ImageNet and ANIMAL-10N, from miniatures in the published layouts."""

from __future__ import annotations

import shutil

import pytest
import torch

from metaloss.checks import InputError
from metaloss.tasks import ANIMAL10N_PAIRS, animal10n, noise, tiny_imagenet
from tests.helpers.published import pixels, write_animal10n, write_image, write_tiny_imagenet


def test_tiny_imagenet_has_the_published_images_and_labels(tmp_path) -> None:
    folder = write_tiny_imagenet(tmp_path)
    source = tiny_imagenet(tmp_path, complete=False)
    # Two classes are called crane, so that their ids tell them apart.
    names = ("goldfish, Carassius auratus", "crane (n02)", "crane (n03)")
    assert source.train.class_names == names
    assert (source.train.sample_shape, source.labels_checked) == ((3, 64, 64), True)
    files = [
        folder / "train" / wnid / "images" / f"{wnid}_{k}.JPEG"
        for wnid in ("n01", "n02", "n03")
        for k in range(4)
    ]
    assert torch.equal(source.train.images, torch.stack([pixels(file) for file in files]))
    assert source.train.targets.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    tested = [folder / "val" / "images" / f"val_{k}.JPEG" for k in range(6)]
    assert torch.equal(source.test.images, torch.stack([pixels(file) for file in tested]))
    assert source.test.targets.tolist() == [1, 0, 2, 1, 0, 2]
    assert tiny_imagenet(folder, complete=False) is source  # the folder itself; cached


def test_tiny_imagenet_is_read_again_when_a_label_changes(tmp_path) -> None:
    folder = write_tiny_imagenet(tmp_path)
    tiny_imagenet(tmp_path, complete=False)
    annotations = folder / "val" / "val_annotations.txt"
    annotations.write_text(annotations.read_text().replace("val_0.JPEG\tn02", "val_0.JPEG\tn03"))
    assert tiny_imagenet(tmp_path, complete=False).test.targets[0] == 2


def test_tiny_imagenet_with_grey_images(tmp_path) -> None:
    folder = write_tiny_imagenet(tmp_path)
    path = folder / "train" / "n01" / "images" / "n01_0.JPEG"
    from PIL import Image

    with Image.open(path) as image:
        grey = image.convert("L")
    grey.save(path)
    image = tiny_imagenet(tmp_path, complete=False).train.images[0]
    assert torch.equal(image[0], image[1]) and torch.equal(image, pixels(path))


def edit(name, old, new):
    def change(folder):
        path = folder / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return change


def remove(name):
    def change(folder):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (remove("words.txt"), r"words\.txt is missing; download tiny-imagenet-200\.zip from http"),
        (remove("val/images"), r"expected Tiny ImageNet, in \S+, but val/images is missing; downl"),
        (remove("train/n01"), r"images of the 3 classes .* none of 1 of them, such as n01"),
        (remove("val/images/val_3.JPEG"), r"the 6 images .*, 1 of them are missing, .*val_3.JPEG$"),
        (edit("val/val_annotations.txt", "val_1.JPEG", "val_9.JPEG"), r"got 1 others, .*val_1"),
        (edit("val/val_annotations.txt", "n02", "n77"), r"a class of wnids.txt .* got 2 others"),
        (edit("val/val_annotations.txt", "val_0.JPEG\t", "val_0.JPEG "), r"got 1 others"),
        (edit("words.txt", "n03\tcrane", "n04\tcrane"), r"words for each class .* such as 'n03'"),
        (edit("wnids.txt", "n03\n", ""), r"named as the training classes, got n03"),
        (
            lambda folder: (folder / "train/n01/images/n01_1.JPEG").write_bytes(b"\xff\xd8\xff"),
            r"n01_1\.JPEG: expected an image, cannot read it",
        ),
        (
            lambda folder: write_image(folder / "train/n01/images/n01_1.JPEG", 0, (56, 64)),
            r"n01_1\.JPEG: expected 64x64 pixels .* got 56x64",
        ),
    ],
)
def test_damaged_tiny_imagenet(tmp_path, change, words) -> None:
    change(write_tiny_imagenet(tmp_path))
    with pytest.raises(InputError, match=words) as caught:
        tiny_imagenet(tmp_path, complete=False)
    assert "\n" not in str(caught.value)


def test_data_that_is_not_there_names_what_to_download(tmp_path) -> None:
    with pytest.raises(InputError, match=r"in this folder or in tiny-imagenet-200 in it, but wni"):
        tiny_imagenet(tmp_path)
    with pytest.raises(InputError, match=r"training, testing are missing; .* https://dm\.kaist"):
        animal10n(tmp_path / "nowhere")


def test_half_of_an_archive_is_refused(tmp_path) -> None:
    write_tiny_imagenet(tmp_path / "tiny")
    write_animal10n(tmp_path / "animals")
    with pytest.raises(InputError, match=r"wnids\.txt: expected the 200 published classes, got 3"):
        tiny_imagenet(tmp_path / "tiny")
    words = r"training: expected the 50,000 published images, got 20; .*complete=False"
    with pytest.raises(InputError, match=words):
        animal10n(tmp_path / "animals")


def test_animal10n_has_the_labels_of_its_names(tmp_path) -> None:
    write_animal10n(tmp_path / "raw_image")
    (tmp_path / "raw_image" / "training" / "._0_1.jpg").write_bytes(b"what macOS leaves")
    (tmp_path / "raw_image" / "training" / "notes.txt").write_text("not an image")
    source = animal10n(tmp_path, complete=False)
    files = sorted((tmp_path / "raw_image" / "training").glob("[0-9]*.jpg"))
    assert source.train.targets.tolist() == [int(file.name[0]) for file in files]
    assert torch.equal(source.train.images, torch.stack([pixels(file) for file in files]))
    assert (len(source.train), len(source.test), source.labels_checked) == (20, 10, False)
    names = source.train.class_names
    pairs = {frozenset((names[a], names[b])) for a, b in ANIMAL10N_PAIRS.items()}
    assert pairs == {
        frozenset(pair)
        for pair in (
            ("cat", "lynx"),
            ("jaguar", "cheetah"),
            ("wolf", "coyote"),
            ("chimpanzee", "orangutan"),
            ("hamster", "guinea pig"),
        )
    }


def test_animal10n_with_other_names(tmp_path) -> None:
    write_animal10n(tmp_path)
    for name in ("cat.jpg", "10_3.jpg"):
        write_image(tmp_path / "training" / name, seed=0)
    words = r"training: expected images named LABEL_ID\.jpg .* got 2 others, such as '10_3\.jpg'"
    with pytest.raises(InputError, match=words):
        animal10n(tmp_path, complete=False)


def test_noise_to_the_next_class() -> None:
    labels = torch.arange(200)
    noisy = noise.asymmetric(labels, 1.0, 200, torch.Generator(), mapping="next")
    assert noisy.labels.tolist() == [*range(1, 200), 0]
