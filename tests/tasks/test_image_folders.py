"""Image folders decoded into memory."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from metaloss.checks import InputError
from metaloss.shim import import_torchvision
from metaloss.tasks import image_folder
from metaloss.tasks import listed_sources as module


def test_image_folder_equals_torchvisions(pets):
    root, pixels = pets
    source = image_folder(root, clean="verified")
    for part, data in (("train", source.train), ("test", source.test), ("verified", source.clean)):
        expected = import_torchvision().datasets.ImageFolder(str(root / part))
        assert data.class_names == tuple(expected.classes) == ("cat", "dog", "emu")
        assert data.targets.tolist() == expected.targets
        for image, (path, _) in zip(data.images, expected.samples, strict=True):
            assert image.permute(1, 2, 0).tolist() == pixels[path].tolist()
    assert (source.train.name, source.test.name) == ("pets", "pets (test)")


@pytest.mark.parametrize("threads", [1, 3])
def test_image_folder_scales_and_crops_at_the_centre(pets, threads):
    root, _ = pets
    source = image_folder(root, size=14, test=None, threads=threads)
    transforms = import_torchvision().transforms
    by_torchvision = transforms.Compose([transforms.Resize(14), transforms.CenterCrop(14)])
    samples = import_torchvision().datasets.ImageFolder(str(root / "train")).samples
    assert source.train.images.shape == (24, 3, 14, 14)
    for image, (path, _) in zip(source.train.images, samples, strict=True):
        with Image.open(path) as opened:
            expected = np.asarray(by_torchvision(opened.convert("RGB"))).astype(int)
        # PIL crops before it scales and torchvision after, so the borders differ a little.
        assert np.abs(image.permute(1, 2, 0).numpy().astype(int) - expected).mean() < 6


def test_image_folder_in_grey(pets):
    root, pixels = pets
    source = image_folder(root, test=None, channels=1)
    samples = import_torchvision().datasets.ImageFolder(str(root / "train")).samples
    luma = pixels[samples[0][0]] @ np.array([0.299, 0.587, 0.114])
    assert source.train.images.shape == (24, 1, 7, 9)
    assert np.abs(source.train.images[0, 0].numpy() - luma).max() < 1


def count_decodes(monkeypatch):
    calls = []
    decode = module.decode

    def counted(files, *rest):
        calls.append(len(files))
        return decode(files, *rest)

    monkeypatch.setattr(module, "decode", counted)
    return calls


def test_image_folder_cache_file(pets, tmp_path, monkeypatch):
    root, _ = pets
    cache = tmp_path / "cache" / "pets.safetensors"
    calls = count_decodes(monkeypatch)
    first = image_folder(root, cache=cache)
    assert calls == [24, 12]
    module._read_images.cache_clear()  # as in another process
    second = image_folder(root, cache=cache)
    assert calls == [24, 12]
    assert torch.equal(first.train.images, second.train.images)
    assert torch.equal(first.test.images, second.test.images)
    image_folder(root, size=5, cache=cache)
    assert len(calls) == 4  # the arguments changed
    Image.new("RGB", (9, 7)).save(root / "train" / "dog" / "00.png")
    third = image_folder(root, cache=cache)
    assert len(calls) == 6  # a file changed
    assert int(third.train.images[8].sum()) == 0
    os.utime(root / "test" / "emu" / "01.png", ns=(1, 1))
    image_folder(root, cache=cache)
    assert len(calls) == 8  # a modification time changed


def test_image_folder_is_cached_in_memory(pets, monkeypatch):
    root, _ = pets
    calls = count_decodes(monkeypatch)
    assert image_folder(root) is image_folder(str(root))
    assert calls == [24, 12]


def test_image_folder_does_not_overwrite_other_files(pets, tmp_path):
    root, _ = pets
    precious = tmp_path / "thesis.txt"
    precious.write_text("years of work")
    with pytest.raises(InputError, match=r"thesis.txt: expected a file of metaloss decoded images"):
        image_folder(root, cache=precious)
    assert precious.read_text() == "years of work"


def test_image_folder_missing_folders(pets, tmp_path):
    root, _ = pets
    with pytest.raises(InputError, match=r"nowhere/train: expected a folder"):
        image_folder(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"pets/val: expected a folder"):
        image_folder(root, test="val")
    with pytest.raises(
        InputError, match=r"dog: expected a folder of images for each class, found no"
    ):
        for path in (root / "test" / "dog" / "more").iterdir():
            path.unlink()
        (root / "test" / "dog" / "more").rmdir()
        image_folder(root / "test", train="dog", test=None)


def test_image_folder_parts_must_have_the_same_classes(pets):
    root, _ = pets
    (root / "test" / "yak").mkdir()
    with pytest.raises(InputError, match=r"named as the training classes, got yak"):
        image_folder(root)
    (root / "train" / "yak").mkdir()
    with pytest.raises(InputError, match=r"images of every class: .* yak"):
        image_folder(root)


def test_image_folder_a_part_may_lack_a_class(pets):
    root, _ = pets
    for path in (root / "test" / "emu").rglob("*.png"):
        path.unlink()
    assert image_folder(root).test.targets.unique().tolist() == [0, 1]
    shutil.rmtree(root / "test" / "emu")
    assert image_folder(root).test.targets.unique().tolist() == [0, 1]
    for path in (root / "test").rglob("*.png"):
        path.unlink()
    with pytest.raises(InputError, match=r"test: expected images, found none"):
        image_folder(root)


def test_image_folder_bad_images(pets):
    root, _ = pets
    odd = root / "train" / "dog" / "01.png"
    Image.new("RGB", (8, 7)).save(odd)
    with pytest.raises(InputError, match=r"dog/01.png: expected 9x7 pixels .* got 8x7"):
        image_folder(root)
    odd.write_bytes(odd.read_bytes()[:40])
    with pytest.raises(InputError, match=r"dog/01.png: expected an image, cannot read it"):
        image_folder(root, size=5)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"size": 0}, "size: .* at least 1, got 0"),
        ({"channels": 4}, "channels: expected 1 .* or 3 .*, got 4"),
        ({"threads": -1}, "threads"),
    ],
)
def test_image_folder_bad_arguments(pets, arguments, words):
    root, _ = pets
    with pytest.raises(InputError, match=words):
        image_folder(root, **arguments)
