"""Data sets read from miniatures in the published layouts."""

from __future__ import annotations

import gzip
import os

import numpy as np
import pytest
import torch
from PIL import Image

from metaloss.checks import InputError
from metaloss.tasks import cifar10, cifar100, digits, fashion_mnist


def test_digits_equal_scikit_learns():
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


@pytest.mark.parametrize("idx_folder", ["gz"], indirect=True)
def test_fashion_mnist_is_cached_until_a_file_changes(idx_folder):
    root, _ = idx_folder
    first = fashion_mnist(root)
    assert fashion_mnist(root) is first
    file = next(path for path in root.rglob("train-labels*"))
    file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes())[:8] + bytes(12)))
    os.utime(file, ns=(1, 1))
    assert fashion_mnist(root).train.targets.tolist() == [0] * 12


@pytest.mark.parametrize(
    ("name", "spoil", "words"),
    [
        ("train-images-idx3-ubyte", None, "train-images-idx3-ubyte: expected this file"),
        ("t10k-labels-idx1-ubyte", lambda b: b[:-1], r"expected \[5\] values, got 4"),
        ("train-images-idx3-ubyte", lambda b: b + b"x", r"values, got 9409"),
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
    words = r"cifar-10-batches-py: expected CIFAR10, .* is missing or damaged; unpack the archive"
    with pytest.raises(InputError, match=words):
        cifar10(root)


@pytest.mark.parametrize(
    ("read", "folder"), [(cifar10, "cifar-10-batches-py"), (cifar100, "cifar-100-python")]
)
def test_missing_cifar(tmp_path, read, folder):
    with pytest.raises(InputError, match=f"{folder}: expected CIFAR10+ as it .*cs.toronto.edu"):
        read(tmp_path)


def test_image_files_of_another_cifar(tmp_path):
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            (tmp_path / part / name).mkdir(parents=True)
            Image.new("RGB", (32, 32)).save(tmp_path / part / name / "1.png")
    with pytest.raises(InputError, match=r"train: expected .* class of CIFAR100, got 2 folders"):
        cifar100(tmp_path, size=8)
