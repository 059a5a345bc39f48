"""Damaged files and failed downloads."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import socket
import struct
import urllib.error
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from safetensors.numpy import save_file

from metaloss.checks import InputError
from metaloss.tasks import NoisyLabels, cifar10, cifar100, fashion_mnist, image_folder
from metaloss.tasks import decoding as module
from metaloss.tasks.idx import read_idx


def idx(*sizes: int) -> bytes:
    return bytes([0, 0, 8, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes)


@pytest.mark.parametrize(
    ("sizes", "suffix", "words"),
    [
        ((2**32 - 1, 2**32 - 1, 2**32 - 1), "", r"values, got 7$"),
        ((2**32 - 1, 2**32 - 1, 0), "", "expected samples, got a header that says"),
        ((1, 2, 3), ".gz", r"expected \[1, 2, 3\] values, got 7$"),
    ],
)
def test_an_idx_header_that_does_not_match_the_content(tmp_path, sizes, suffix, words) -> None:
    path = tmp_path / f"images{suffix}"
    content = idx(*sizes) + bytes(7)
    path.write_bytes(gzip.compress(content) if suffix else content)
    with pytest.raises(InputError, match=rf"{re.escape(str(path))}: .*{words}"):
        read_idx(path, dimensions=3)


def test_a_folder_in_place_of_a_file(tmp_path) -> None:
    for part in ("train", "t10k"):
        for name in ("images-idx3-ubyte", "labels-idx1-ubyte"):
            (tmp_path / f"{part}-{name}").mkdir()
    with pytest.raises(InputError, match="train-images-idx3-ubyte: expected this file"):
        fashion_mnist(tmp_path)


def test_images_that_do_not_fit_in_memory(pets, monkeypatch) -> None:
    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr(module.np, "empty", full)
    with pytest.raises(InputError, match=r"00\.png: expected images that fit in memory, got 24"):
        image_folder(pets[0])


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
# PIL itself warns above this number, and raises above twice it.
@pytest.mark.parametrize("most", [5_000, 9_000])
def test_an_image_has_a_bounded_number_of_pixels(pets, monkeypatch, most) -> None:
    root, _ = pets
    Image.new("1", (100, 101)).save(root / "train" / "cat" / "00.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
    with pytest.raises(
        InputError, match=r"cat/00\.png: expected an image, cannot read it: .*pixel"
    ):
        image_folder(root, size=7)


@pytest.mark.parametrize("error", [MemoryError(), KeyError("x"), SyntaxError("broken"), EOFError()])
def test_any_error_of_the_image_library_names_the_file(pets, monkeypatch, error) -> None:
    def fail(self):
        raise error

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load_prepare", fail)
    with pytest.raises(InputError, match=r"cat/00\.png: expected an image, cannot read it: ."):
        image_folder(pets[0])


def test_noise_files_with_bad_json(tmp_path) -> None:
    path = tmp_path / "noise.safetensors"
    save_file({"labels": np.zeros(2)}, path, metadata={"metaloss": "[" * 200_000})
    with pytest.raises(InputError, match=r"noise\.safetensors: expected a file of .*noisy labels"):
        NoisyLabels.load(path)
    save_file({"labels": np.zeros(2)}, path, metadata={"metaloss": json.dumps(["kind"])})
    with pytest.raises(InputError, match=r"expected a file of .*noisy labels"):
        NoisyLabels.load(path)


@pytest.mark.parametrize(
    ("read", "error"),
    [
        (cifar10, urllib.error.URLError(socket.gaierror(-2, "Name or service not known"))),
        (cifar100, TimeoutError("timed out")),
        (cifar10, http.client.IncompleteRead(b"")),
        (cifar100, OSError(28, "No space left on device")),
        (cifar10, EOFError("Compressed file ended\nbefore its end")),
        (cifar100, zlib.error("invalid block")),
    ],
)
def test_a_failed_download_is_one_line(tmp_path, monkeypatch, read, error) -> None:
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", fail)
    with pytest.raises(InputError, match=r"expected CIFAR10+, cannot download it to") as caught:
        read(tmp_path, download=True)
    assert "\n" not in str(caught.value)
