"""Arrays in files: the same batches as from memory, and nothing is copied."""

from __future__ import annotations

import platform
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from metaloss.checks import InputError
from metaloss.cli import app
from metaloss.tasks import (
    Augment,
    BatchLoader,
    ImageSet,
    Source,
    Task,
    array_files,
    channel_statistics,
    classification_task,
    mapped,
    noise,
    varied,
)
from metaloss.tasks.standardise import Standardise


def some(kind: str, count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(count)
    labels = np.arange(count, dtype=np.int32) % 3
    if kind == "images":
        return draw.integers(0, 256, (count, 6, 5, 3), dtype=np.uint8), labels
    return draw.normal(3, 2, (count, 4)).astype(np.float32), labels


def written(folder: Path, kind: str, part: str, count: int = 60) -> tuple[str, str]:
    paths = str(folder / f"{part} x.npy"), str(folder / f"{part} y.npy")
    for path, values in zip(paths, some(kind, count), strict=True):
        np.save(path, values)
    return paths


def in_memory(kind: str, count: int = 60) -> ImageSet:
    inputs, labels = map(torch.from_numpy, some(kind, count))
    inputs = inputs.permute(0, 3, 1, 2).contiguous() if kind == "images" else inputs
    return ImageSet(inputs, labels.long(), ("0", "1", "2"), "some")


def batches(task: Task) -> list[torch.Tensor]:
    found = []
    for loader in (task.train, task.meta, task.validation, task.test, task.train.in_order()):  # type: ignore[union-attr, attr-defined]
        assert loader is not None
        found += [part for number in (0, 1) for batch in loader.epoch(number) for part in batch]
    return found


def assert_same(one: list[torch.Tensor], other: list[torch.Tensor]) -> None:
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a.dtype == b.dtype
        # The statistics are summed in chunks.
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("chunk", [1 << 26, 400], ids=["one chunk", "many chunks"])
@pytest.mark.parametrize("kind", ["images", "numbers"])
@pytest.mark.parametrize("origin", ["train", "noisy", "shared"])
def test_the_batches_are_those_of_arrays_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, origin: str, chunk: int
) -> None:
    settings: dict[str, Any] = {
        "noise": partial(noise.instance_dependent, rate=0.4),
        "meta_from": origin,
        "num_meta": 12,
        "num_validation": 6,
        "batch_size": 7,
        "meta_batch_size": 5,
        "augment": partial(Augment, crop_padding=1) if kind == "images" else None,
        "standardise": kind == "numbers",
    }
    held = Source(in_memory(kind), in_memory(kind, 20), labels_checked=True)
    expected = classification_task(data=held, **settings)
    monkeypatch.setattr(mapped, "_CHUNK", chunk)
    files = written(tmp_path, kind, "train"), written(tmp_path, kind, "test", 20)
    source = array_files(train=files[0], test=files[1], labels_checked=True)
    found = classification_task(data=source, **settings)
    assert_same(batches(found), batches(expected))
    assert found.noise is not None
    assert expected.noise is not None
    assert torch.equal(found.noise.labels, expected.noise.labels)  # type: ignore[union-attr]
    chosen = torch.tensor([3, 8, 30, 31, 2, 20, 21, 22])
    assert_same(batches(found.select(chosen)), batches(expected.select(chosen)))


def test_no_part_of_a_task_is_a_copy(tmp_path: Path) -> None:
    source = array_files(train=written(tmp_path, "images", "train"), labels_checked=True)
    task = classification_task(
        data=source, num_meta=9, num_test=10, batch_size=6, meta_batch_size=3
    )
    wholes = []
    for loader in (task.train, task.meta, task.test, task.select(torch.arange(20)).train):
        assert isinstance(loader, BatchLoader)
        assert isinstance(loader.inputs, mapped.MappedSamples)
        wholes.append(loader.inputs.whole.untyped_storage().data_ptr())
    assert len(set(wholes)) == 1


@pytest.mark.parametrize("chunk", [64, 1 << 20])
def test_statistics_in_chunks(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(mapped, "_CHUNK", chunk)
    images = in_memory("images").images
    assert isinstance(images, torch.Tensor)
    mean, std = channel_statistics(images)
    pixels = images.double().div(255).transpose(0, 1).flatten(1)
    torch.testing.assert_close(torch.tensor(mean).double(), pixels.mean(1), rtol=1e-6, atol=0)
    torch.testing.assert_close(
        torch.tensor(std).double(), pixels.std(1, correction=0), rtol=1e-6, atol=0
    )
    numbers = in_memory("numbers").images
    assert isinstance(numbers, torch.Tensor)
    scaled = Standardise.of(numbers)(numbers).double()
    torch.testing.assert_close(scaled.mean(0), torch.zeros(4).double(), rtol=0, atol=1e-6)
    torch.testing.assert_close(
        scaled.std(0, correction=0), torch.ones(4).double(), rtol=1e-6, atol=0
    )


def test_the_fingerprint_tells_files_and_positions_apart(tmp_path: Path) -> None:
    def of(names: tuple[str, str], chosen: torch.Tensor) -> str:
        samples = array_files(train=names).train.subset(chosen)
        return BatchLoader(samples.images, samples.targets, 3).fingerprint

    files, few = written(tmp_path, "numbers", "train"), torch.arange(10)
    first = of(files, few)
    assert first == of(files, few)
    assert first != of(files, few + 1)
    values = np.load(files[0])
    values[4, 1] += 1
    np.save(files[0], values)
    assert first != of(files, few)


def test_float64_and_grey_images_are_read_too(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((4, 3)))
    np.save(tmp_path / "grey.npy", np.ones((4, 7, 5), dtype=np.uint8))
    np.save(tmp_path / "y.npy", np.array([0, 1, 1, 0], dtype=np.uint8))
    numbers = array_files(train=(tmp_path / "x.npy", tmp_path / "y.npy")).train
    assert BatchLoader(numbers.images, numbers.targets, 2).inputs[torch.tensor([1])].dtype == (
        torch.float32
    )
    grey = array_files(train=(tmp_path / "grey.npy", tmp_path / "y.npy"), class_names=["a", "b"])
    assert (grey.train.sample_shape, grey.train.class_names) == ((1, 7, 5), ("a", "b"))


def test_an_experiment_on_arrays_in_files(tmp_path: Path) -> None:
    train, test = written(tmp_path, "images", "train"), written(tmp_path, "images", "test", 20)
    config = tmp_path / "mine.gin"
    config.write_text(
        "include 'tasks/array_files.gin'\ninclude 'models/small_cnn.gin'\n"
        "include 'runs/comparison.gin'\ninclude 'losses/gce.gin'\n"
        "include 'conditioners/margin.gin'\n"
        "from metaloss import experiments\n"
        "experiments.Experiment.methods = [@a_gce/experiments.Adjusted()]\n"
        f"TRAIN = {train}\nTEST = {test}\nNUM_CLASSES = 3\nNUM_META = 12\n"
        "tasks.array_files.labels_checked = True\n"
        "tasks.classification_task.meta_batch_size = 4\n"
        "tasks.classification_task.batch_size = 10\nEPOCHS = 1\nSEEDS = (0,)\n"
    )
    done = CliRunner().invoke(app, ["train", str(config), "--out", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "run" / "results.json").is_file()


@pytest.mark.parametrize(
    ("inputs", "labels", "said"),
    [
        (np.zeros((4, 3), dtype=np.int64), np.arange(4) % 2, "expected uint8 images or floating"),
        (np.full((4, 3), np.nan), np.arange(4) % 2, "expected finite values, got 12 of 12"),
        (np.full((4, 3), 1e300), np.arange(4) % 2, "NaN or infinite in float32"),
        (np.zeros((4, 3)), np.arange(3) % 2, "got 3 labels and 4 samples"),
        (np.zeros((4, 3)), np.arange(4) / 2, "expected labels [samples], whole numbers, got float"),
        (np.zeros((4, 3)), np.arange(4) - 1, "expected labels from 0, got -1"),
        (np.zeros((4, 3)), np.array([0, 1, 1, 10**15]), "expected no more classes than samples"),
        (np.zeros((4, 3)), np.zeros(4, int), "expected two class names or more, got 1"),
        (np.zeros(4), np.arange(4) % 2, "expected inputs [samples, ...] in numbers"),
        (np.zeros((4, 5, 5, 2), np.uint8), np.arange(4) % 2, "expected images with 1 or 3"),
        (np.zeros((0, 3)), np.zeros(0, int), "whole numbers, got int64 [0]"),
        (np.array([["a"]]), np.zeros(1, int), "expected inputs [samples, ...] in numbers"),
        (np.array([{}], dtype=object), np.zeros(1, int), "expected a file .npy of numbers"),
    ],
)
def test_bad_arrays(tmp_path: Path, inputs: np.ndarray, labels: np.ndarray, said: str) -> None:
    paths = tmp_path / "x.npy", tmp_path / "y.npy"
    np.save(paths[0], inputs)
    np.save(paths[1], labels)
    with pytest.raises(InputError) as error:
        array_files(train=paths)
    assert said in str(error.value)


def test_bad_files(tmp_path: Path) -> None:
    good = written(tmp_path, "numbers", "train")
    damaged = tmp_path / "damaged.npy"
    damaged.write_bytes(Path(good[0]).read_bytes()[:200])
    several = tmp_path / "several.npz"
    np.savez(several, x=np.zeros(3))
    for path, said in (
        (tmp_path / "none.npy", "found no such file"),
        (damaged, "expected a file .npy of numbers"),
        (several, "expected one array in a file .npy, got several"),
    ):
        with pytest.raises(InputError, match=said):
            array_files(train=(path, good[1]))
    other = written(tmp_path, "images", "test")
    with pytest.raises(InputError, match=r"expected samples \[4\] as in train x"):
        array_files(train=good, test=other)


def test_samples_in_files_are_not_varied(tmp_path: Path) -> None:
    source = array_files(train=written(tmp_path, "images", "train"))
    with pytest.raises(InputError, match="expected uint8 images in memory to vary, got Mapped"):
        varied(data=source)


_MEASURE = """
import ctypes
import sys
from functools import partial
from pathlib import Path
import torch
from metaloss.tasks import array_files, classification_task, noise
source = array_files(train=tuple(sys.argv[1:3]), labels_checked=True)
task = classification_task(
    data=source, noise=partial(noise.instance_dependent, rate=0.4), num_meta=100, num_test=100
)
for _, batch in zip(range(50), task.train.epoch(0)):
    batch.inputs.sum()
ctypes.CDLL(None).malloc_trim(0)  # the allocator keeps freed memory, now more and now less of it
line = next(l for l in Path("/proc/self/status").read_text().splitlines() if "RssAnon" in l)
print(line.split()[1])  # KiB
"""


@pytest.mark.exhaustive
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs malloc_trim")
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    found = []
    for count in (20_000, 60_000):  # 82 and 246 MB, both more than is read at once
        images = np.lib.format.open_memmap(  # zeros, which take no space on the disk
            tmp_path / f"{count}.npy", "w+", np.uint8, (count, 64, 64)
        )
        images[0] = 255
        images.flush()
        np.save(tmp_path / "y.npy", np.arange(len(images)) % 10)
        words = [sys.executable, "-c", _MEASURE, f"{tmp_path}/{count}.npy", f"{tmp_path}/y.npy"]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        found.append(int(done.stdout) / 1024)
    # Labels and positions, 8 bytes each, three times in all: 0.9 MiB for 40,000 samples more.
    assert found[1] - found[0] < 16, found  # MiB
