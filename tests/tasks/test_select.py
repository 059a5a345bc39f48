"""Loaders and tasks with some of their training samples."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from metaloss.checks import InputError
from metaloss.tasks import (
    BatchLoader,
    FolderLoader,
    classification_task,
    digits,
    image_files,
    noise,
)
from metaloss.types import Selectable

INDEX = torch.tensor([9, 2, 5])


def test_a_loader_counts_the_chosen_samples_from_zero() -> None:
    whole = BatchLoader(torch.arange(10.0).unsqueeze(1), torch.arange(10), 4, seed=3)
    few = whole.select(INDEX)
    assert isinstance(whole, Selectable)
    assert (few.num_samples, few.batch_size, few.seed) == (3, 3, 3)
    (batch,) = few.epoch(0)
    assert batch.index is not None
    assert batch.targets.tolist() == INDEX[batch.index].tolist()
    assert batch.inputs[:, 0].tolist() == batch.targets.tolist()
    assert whole.num_samples == 10 and few.fingerprint != whole.fingerprint


def test_files_are_chosen_with_their_labels(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / "train" / name).mkdir(parents=True)
        for i in range(6):
            pixels = np.full((4, 4, 3), 20 * i + 5 * (name == "b"), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "train" / name / f"{i}.png")
    data = image_files(tmp_path, size=4, test=None).train
    few = FolderLoader(data, 8).select(INDEX)
    assert [*few.data.files] == [data.files[i] for i in INDEX]
    (batch,) = few.in_order().epoch(0)
    assert batch.targets.tolist() == data.targets[INDEX].tolist()


def test_a_task_keeps_its_clean_samples() -> None:
    whole = classification_task(
        data=digits, noise=partial(noise.symmetric, rate=0.4), num_meta=100, num_test=360
    )
    few = whole.select(INDEX)
    assert few.flipped is not None and whole.flipped is not None
    assert few.flipped.tolist() == whole.flipped[INDEX].tolist()
    assert few.train_targets.tolist() == whole.train_targets[INDEX].tolist()
    assert few.noise is not None and few.noise.transition is whole.noise.transition  # type: ignore[union-attr]
    assert few.meta is whole.meta and few.test is whole.test
    assert few.train_ids == tuple(whole.train_ids[at] for at in INDEX.tolist())
    named = replace(whole, train_ids=tuple(f"{at}.png" for at in range(len(whole.train_targets))))
    assert named.select(INDEX).train_ids == ("9.png", "2.png", "5.png")
    (batch,) = few.train.in_order().epoch(0)  # type: ignore[attr-defined]
    assert torch.equal(batch.inputs, next(whole.train.in_order().epoch(0)).inputs[INDEX])  # type: ignore[attr-defined]


def test_meta_samples_that_are_left_out_teach_nothing() -> None:
    whole = classification_task(data=digits, meta_from="shared", num_meta=300, num_test=360)
    assert whole.shared is not None and len(whole.shared) == 300
    index = torch.arange(0, whole.train.num_samples, 2)
    few = whole.select(index)
    assert few.meta is not None and few.shared is not None
    kept = whole.shared[whole.shared % 2 == 0]
    assert torch.equal(index[few.shared], kept) and few.meta.num_samples == len(kept)
    meta, train = (
        torch.cat([batch.inputs for batch in loader.in_order().epoch(0)])  # type: ignore[attr-defined]
        for loader in (few.meta, few.train)
    )
    assert torch.equal(meta, train[few.shared])
    twice = few.select(torch.arange(100))
    assert twice.shared is not None and torch.equal(twice.shared, few.shared[few.shared < 100])
    others = torch.tensor([i for i in range(10) if i not in whole.shared.tolist()])
    with pytest.raises(InputError, match="expected meta samples among those chosen"):
        whole.select(others)
