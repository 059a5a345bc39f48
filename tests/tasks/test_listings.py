"""Lists of the image files in a folder for each class."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from PIL import Image

from metaloss.checks import InputError
from metaloss.shim import import_torchvision
from metaloss.tasks import FolderLoader, image_files, image_folder
from metaloss.tasks.listings import EXTENSIONS, list_images


def files_of(root: Path, part: str = "train") -> list[str]:
    return [str(Path(file).relative_to(root / part)) for file in list_images(root / part).files]


def test_extensions_equal_torchvisions() -> None:
    assert EXTENSIONS == import_torchvision().datasets.folder.IMG_EXTENSIONS


def test_the_order_equals_torchvisions(pets) -> None:
    root, _ = pets
    for name in ("a/b", "a-b", "B", "ä"):
        (root / "train" / "cat" / name).mkdir(parents=True)
        Image.new("RGB", (9, 7)).save(root / "train" / "cat" / name / "X.PNG")
    listing = list_images(root / "train")
    expected = import_torchvision().datasets.ImageFolder(str(root / "train"))
    assert [*zip(listing.files, listing.targets.tolist(), strict=True)] == expected.samples


@pytest.mark.parametrize("name", [".ipynb_checkpoints", ".git", "__pycache__", "__MACOSX"])
def test_hidden_files_and_folders_are_skipped(pets, name) -> None:
    root, _ = pets
    before = list_images(root / "train")
    for place in (root / "train", root / "train" / "cat", root / "test"):
        (place / name).mkdir()
        Image.new("RGB", (9, 7)).save(place / name / "0.png")
    (root / "train" / "cat" / "._00.png").write_bytes(b"what macOS leaves on other disks")
    source = image_folder(root)
    assert source.train.class_names == ("cat", "dog", "emu")
    assert list_images(root / "train") == before


def test_a_folder_that_links_reach_again_is_read_once(pets) -> None:
    root, _ = pets
    before = files_of(root)
    cat = root / "train" / "cat"
    (cat / "self").symlink_to(cat)
    (cat / "up").symlink_to(root / "train" / "cat" / "more")
    (cat / "more" / "back").symlink_to(cat, target_is_directory=True)
    assert files_of(root) == before
    outside = root / "outside"
    outside.mkdir()
    Image.new("RGB", (9, 7)).save(outside / "9.png")
    (cat / "linked").symlink_to(outside)
    assert sorted(set(files_of(root)) - set(before)) == ["cat/linked/9.png"]


def test_one_folder_as_two_classes_or_two_parts_is_refused(pets) -> None:
    root, _ = pets
    with pytest.raises(InputError, match=r"train: expected a separate folder for each part"):
        image_folder(root, test="train")
    (root / "train" / "puma").symlink_to(root / "train" / "cat")
    with pytest.raises(
        InputError, match=r"separate folder for each class, got one for puma and for cat"
    ):
        image_folder(root, test=None)


@pytest.mark.parametrize("to", ["nothing.png", "01-copy.png"])
def test_a_broken_link_is_named(pets, to) -> None:
    root, _ = pets
    (root / "train" / "cat" / "01-copy.png").symlink_to(to)
    for read in (image_folder, image_files):
        with pytest.raises(InputError, match=r"cat/01-copy\.png: expected an image: \w+"):
            read(root)


def test_an_unreadable_folder_is_named(pets, monkeypatch) -> None:
    root, _ = pets
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("more"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match=r"cat/more: cannot read this folder: Permission"):
        image_folder(root)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_not_utf_8(pets) -> None:
    root, _ = pets
    odd = os.fsdecode(b"caf\xe9.png")
    Image.new("RGB", (9, 7)).save(root / "train" / "cat" / odd)
    assert len(image_folder(root).train) == 25
    assert len(list(FolderLoader(image_files(root, size=6).train, 25).epoch(0))) == 1
    (root / "train" / "cat" / odd).write_bytes(b"no image")
    with pytest.raises(InputError, match=r"cat/caf\\xe9\.png: expected an image") as caught:
        image_folder(root)
    str(caught.value).encode()
    (root / "train" / os.fsdecode(b"caf\xe9")).mkdir()
    with pytest.raises(InputError, match=r"class names in UTF-8, got caf\\xe9") as caught:
        image_folder(root, test=None)
    str(caught.value).encode()


def test_the_home_folder_of_a_path_is_expanded(pets, monkeypatch) -> None:
    root, _ = pets
    monkeypatch.setenv("HOME", str(root.parent))
    assert image_folder("~/pets", cache="~/kept.safetensors").train.name == "pets"
    assert (root.parent / "kept.safetensors").is_file()
    assert len(image_files("~/pets").train) == 24
