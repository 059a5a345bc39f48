"""Data sets read from miniatures in the published layouts."""

from __future__ import annotations

import gzip
import os

import numpy as np
import pytest
import torch
from PIL import Image

from metaloss.checks import InputError
from metaloss.shim import import_torchvision
from metaloss.tasks import cifar10, cifar100, digits, fashion_mnist, image_folder
from metaloss.tasks import datasets as module


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    source, data = digits(), load_digits()
    assert source.train.images.shape == (1797, 1, 8, 8)
    assert source.test is None
    assert source.train.targets.tolist() == data.target.tolist()
    assert int(source.train.images.max()) == 255
    restored = (source.train.images[:, 0].double() * 16 / 255).round()
    assert torch.equal(restored, torch.from_numpy(data.images))


def test_fashion_mnist_from_idx(idx_folder):
    root, content = idx_folder
    source = fashion_mnist(str(root))
    for part, prefix in ((source.train, "train"), (source.test, "t10k")):
        assert part.images[:, 0].tolist() == content[f"{prefix}-images-idx3-ubyte"].tolist()
        assert part.targets.tolist() == content[f"{prefix}-labels-idx1-ubyte"].tolist()
        assert part.sample_shape == (1, 28, 28)
    assert source.train.class_names[9] == "Ankle boot"


def test_fashion_mnist_is_read_once_and_again_when_a_file_changes(idx_folder):
    root, _ = idx_folder
    first = fashion_mnist(root)
    assert fashion_mnist(root) is first
    file = next(path for path in root.rglob("train-labels*"))
    content = file.read_bytes()
    plain = gzip.decompress(content) if file.suffix == ".gz" else content
    changed = plain[:8] + bytes(12)
    file.write_bytes(gzip.compress(changed) if file.suffix == ".gz" else changed)
    os.utime(file, ns=(1, 1))
    assert fashion_mnist(root).train.targets.tolist() == [0] * 12


@pytest.mark.parametrize(
    ("name", "spoil", "words"),
    [
        ("train-images-idx3-ubyte", None, "train-images-idx3-ubyte: expected this file"),
        ("t10k-labels-idx1-ubyte", lambda b: b[:-1], r"expected \[5\] values, got 4"),
        ("train-images-idx3-ubyte", lambda b: b + b"x", "values, got more than that"),
        ("train-images-idx3-ubyte", lambda b: b"\x00\x00\x0d" + b[3:], "begins 00000803"),
        ("train-labels-idx1-ubyte", lambda b: b[:6], "IDX header, got 6 bytes"),
        ("train-labels-idx1-ubyte", lambda b: b"", "IDX file of bytes"),
        ("train-labels-idx1-ubyte", lambda b: b[:-1] + b"\x0b", r"labels in 0\.\.9, got 0\.\.11"),
    ],
)
@pytest.mark.parametrize("idx_folder", ["plain"], indirect=True)
def test_fashion_mnist_damaged(idx_folder, name, spoil, words):
    root, _ = idx_folder
    if spoil is None:
        (root / name).unlink()
    else:
        (root / name).write_bytes(spoil((root / name).read_bytes()))
    with pytest.raises(InputError, match=words):
        fashion_mnist(root)


@pytest.mark.parametrize("idx_folder", ["gz"], indirect=True)
@pytest.mark.parametrize(
    "spoil", [lambda b: b[:-20], lambda b: b"plain", lambda b: b[:30] + b"oh" * 9]
)
def test_fashion_mnist_damaged_gz(idx_folder, spoil):
    root, _ = idx_folder
    path = root / "train-images-idx3-ubyte.gz"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(InputError, match=r"cannot read it"):
        fashion_mnist(root)


def test_cifar10_in_torchvisions_layout(cifar10_folder, unverified):
    root, content = cifar10_folder
    source = cifar10(root)
    data = np.concatenate([content[f"data_batch_{i}"][0] for i in range(1, 6)])
    labels = [label for i in range(1, 6) for label in content[f"data_batch_{i}"][1]]
    assert source.train.images.shape == (15, 3, 32, 32)
    assert source.train.images.flatten(1).tolist() == data.tolist()
    assert source.train.targets.tolist() == labels
    assert source.test.images.flatten(1).tolist() == content["test_batch"][0].tolist()
    assert source.train.class_names[9] == "truck"
    assert cifar10(root) is source


def test_cifar100_in_torchvisions_layout(cifar100_folder, unverified):
    root, content = cifar100_folder
    source = cifar100(root)
    assert source.train.images.flatten(1).tolist() == content["train"][0].tolist()
    assert source.train.targets.tolist() == content["train"][1]
    assert source.test.targets.tolist() == content["test"][1]
    assert len(source.train.class_names) == 100


def test_cifar_with_other_checksums_is_refused(cifar10_folder):
    root, _ = cifar10_folder
    with pytest.raises(InputError, match=r"cifar-10-batches-py: expected CIFAR10, .* corrupted"):
        cifar10(root)


@pytest.mark.parametrize(
    ("read", "folder"), [(cifar10, "cifar-10-batches-py"), (cifar100, "cifar-100-python")]
)
def test_cifar_that_is_not_there(tmp_path, read, folder):
    with pytest.raises(InputError, match=f"{folder}: expected the folder"):
        read(tmp_path)


def test_image_folder_is_torchvisions(pets):
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
        # PIL crops before it scales, torchvision after, so its borders differ a little
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
    module._read_image_folder.cache_clear()  # as in another process
    second = image_folder(root, cache=cache)
    assert calls == [24, 12]
    assert torch.equal(first.train.images, second.train.images)
    assert torch.equal(first.test.images, second.test.images)
    image_folder(root, size=5, cache=cache)
    assert len(calls) == 4  # other arguments, other images
    Image.new("RGB", (9, 7)).save(root / "train" / "dog" / "00.png")
    third = image_folder(root, cache=cache)
    assert len(calls) == 6  # a file changed
    assert int(third.train.images[8].sum()) == 0
    os.utime(root / "test" / "emu" / "01.png", ns=(1, 1))
    image_folder(root, cache=cache)
    assert len(calls) == 8  # a file of the same size that was written at another time


def test_image_folder_stays_in_memory(pets, monkeypatch):
    root, _ = pets
    calls = count_decodes(monkeypatch)
    assert image_folder(root) is image_folder(str(root))
    assert calls == [24, 12]


def test_image_folder_does_not_overwrite_a_file_that_is_no_cache(pets, tmp_path):
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


def test_image_folder_classes_must_agree(pets):
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
