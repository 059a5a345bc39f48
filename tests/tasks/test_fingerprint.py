"""A loader's fingerprint identifies its samples."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image

from metaloss.tasks import BatchLoader, FolderLoader, image_files
from metaloss.types import Fingerprinted


def test_fingerprint_of_samples_in_memory() -> None:
    inputs, targets = torch.rand(6, 2), torch.arange(6) % 2

    def of(inputs: torch.Tensor, targets: torch.Tensor) -> str:
        loader = BatchLoader(inputs, targets, batch_size=3)
        assert isinstance(loader, Fingerprinted)
        return loader.fingerprint

    assert of(inputs, targets) == of(inputs.clone(), targets.clone())
    assert of(inputs, 1 - targets) != of(inputs, targets)
    assert of(inputs.double(), targets) != of(inputs, targets)
    other = inputs.clone()
    other[3, 1] += 1e-6
    assert of(other, targets) != of(inputs, targets)


def test_fingerprint_of_files(tmp_path: Path) -> None:
    def draw(name: str, size: int) -> None:
        path = tmp_path / "pets" / "train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (size, size), "red").save(path)

    def of(place: str) -> str:
        loader = FolderLoader(image_files(tmp_path / place, size=8, test=None).train, batch_size=2)
        assert isinstance(loader, Fingerprinted)
        return loader.fingerprint

    for name in ("cat/1.bmp", "cat/2.bmp", "dog/1.bmp", "dog/2.bmp"):
        draw(name, 8)
    before = of("pets")
    assert of("pets") == before
    (tmp_path / "pets").rename(tmp_path / "moved")
    assert of("moved") == before
    (tmp_path / "moved").rename(tmp_path / "pets")
    draw("dog/2.bmp", 9)
    assert of("pets") != before
