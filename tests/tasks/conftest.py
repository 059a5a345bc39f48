"""Miniatures of published data sets, in their own layouts."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from metaloss.shim import import_torchvision
from metaloss.tasks import file_reader


@pytest.fixture
def short_waits(monkeypatch):
    """Look after half a second, not five, whether a worker is alive."""
    monkeypatch.setattr(file_reader, "_LOOK", 0.5)
    monkeypatch.setattr(torch.utils.data._utils, "MP_STATUS_CHECK_INTERVAL", 0.5)
    waiting = torch.utils.data.dataloader._MultiProcessingDataLoaderIter._try_get_data
    monkeypatch.setattr(waiting, "__defaults__", (0.5,))  # the same number, kept from the import


def idx_bytes(values: np.ndarray) -> bytes:
    """Encode as IDX: two zeros, 8 for bytes, number of dimensions, big-endian sizes, values."""
    header = bytes([0, 0, 8, values.ndim])
    return header + b"".join(size.to_bytes(4, "big") for size in values.shape) + values.tobytes()


@pytest.fixture(params=["plain", "gz", "torchvision"])
def idx_folder(request, tmp_path):
    """A miniature Fashion-MNIST and its content."""
    draw = np.random.default_rng(0)
    content = {
        "train-images-idx3-ubyte": draw.integers(0, 256, (12, 28, 28), dtype=np.uint8),
        "train-labels-idx1-ubyte": draw.integers(0, 10, 12, dtype=np.uint8),
        "t10k-images-idx3-ubyte": draw.integers(0, 256, (5, 28, 28), dtype=np.uint8),
        "t10k-labels-idx1-ubyte": draw.integers(0, 10, 5, dtype=np.uint8),
    }
    folder = tmp_path
    if request.param == "torchvision":
        folder = tmp_path / "FashionMNIST" / "raw"
        folder.mkdir(parents=True)
    for name, values in content.items():
        if request.param == "gz":
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(values)))
        else:
            (folder / name).write_bytes(idx_bytes(values))
    return tmp_path, content


def write_cifar(folder, files, label_key, label_file, names_key, names):
    """Write pickled batches as published: rows of 3,072 bytes, red then green then blue."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(1)
    content = {}
    for file, count in files.items():
        data = draw.integers(0, 256, (count, 3072), dtype=np.uint8)
        labels = draw.integers(0, len(names), count).tolist()
        (folder / file).write_bytes(pickle.dumps({"data": data, label_key: labels}))
        content[file] = (data, labels)
    (folder / label_file).write_bytes(pickle.dumps({names_key: names}))
    return content


@pytest.fixture
def unverified(monkeypatch):
    """Let torchvision read CIFAR files that do not have the published checksums."""
    datasets = import_torchvision().datasets
    for kind in (datasets.CIFAR10, datasets.CIFAR100):
        for parts in ("train_list", "test_list"):
            monkeypatch.setattr(kind, parts, [[name, None] for name, _ in getattr(kind, parts)])
        monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": None})


VEHICLES = ["airplane", "automobile", "ship", "truck"]
CIFAR10_NAMES = sorted([*VEHICLES, "bird", "cat", "deer", "dog", "frog", "horse"])


@pytest.fixture
def cifar10_folder(tmp_path):
    files = {f"data_batch_{i}": 3 for i in range(1, 6)} | {"test_batch": 4}
    folder = tmp_path / "cifar-10-batches-py"
    content = write_cifar(folder, files, "labels", "batches.meta", "label_names", CIFAR10_NAMES)
    return tmp_path, content


@pytest.fixture
def cifar100_folder(tmp_path):
    names = [f"class {i:03d}" for i in range(100)]
    content = write_cifar(
        tmp_path / "cifar-100-python",
        {"train": 6, "test": 4},
        "fine_labels",
        "meta",
        "fine_label_names",
        names,
    )
    return tmp_path, content


@pytest.fixture
def pets(tmp_path):
    """``pets/{train,test,verified}/<class>/*.png``: 9x7 colour images, 3 classes, one nested."""
    root = tmp_path / "pets"
    draw = np.random.default_rng(2)
    pixels = {}
    for part, count in (("train", 8), ("test", 4), ("verified", 2)):
        for name in ("cat", "dog", "emu"):
            for number in range(count):
                folder = root / part / name / ("more" if number == 3 else "")
                folder.mkdir(parents=True, exist_ok=True)
                path = folder / f"{number:02d}.png"
                pixels[str(path)] = draw.integers(0, 256, (7, 9, 3), dtype=np.uint8)
                Image.fromarray(pixels[str(path)]).save(path)
    (root / "train" / "cat" / "notes.txt").write_text("not an image")
    return root, pixels


def draw(path: Path, number: int, size: tuple[int, int] = (9, 7)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def cats_and_dogs(tmp_path: Path) -> Path:
    """Three images of each of two classes."""
    for number in range(6):
        draw(tmp_path / "pets" / ("cat", "dog")[number // 3] / f"{number}.png", number)
    return tmp_path / "pets"
