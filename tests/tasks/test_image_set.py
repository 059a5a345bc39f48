"""Sets of samples in memory, and sources."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from metaloss.checks import InputError
from metaloss.tasks import ImageSet, Source

IMAGES = torch.arange(4 * 3 * 2 * 2, dtype=torch.uint8).view(4, 3, 2, 2)
TARGETS = torch.tensor([0, 1, 1, 0])
NAMES = ("cat", "dog")


def make(images=IMAGES, targets=TARGETS, names=NAMES, name="pets"):
    return ImageSet(images, targets, names, name)


def test_subset_and_with_targets():
    data = make()
    chosen = data.subset(torch.tensor([3, 1]))
    assert chosen.images.tolist() == [IMAGES[3].tolist(), IMAGES[1].tolist()]
    assert chosen.targets.tolist() == [0, 1]
    assert (len(data), len(chosen), data.sample_shape) == (4, 2, (3, 2, 2))
    chosen.images.zero_()
    assert int(data.images.sum()) == int(torch.arange(48).sum())  # a subset is a copy
    other = data.with_targets(1 - TARGETS)
    assert other.targets.tolist() == [1, 0, 0, 1]
    assert other.origin is data.origin
    assert chosen.origin is not data.origin


@pytest.mark.parametrize("shape", [(4, 7), (4, 3, 5), (4, 2, 3, 4, 5)])
def test_floating_point_inputs_of_any_shape(shape):
    assert make(torch.rand(shape)).sample_shape == shape[1:]


def test_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        make().name = "other"


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"images": IMAGES.int()}, r"expected uint8 images .*, got torch.int32 \[4, 3, 2, 2\]"),
        ({"images": IMAGES[0]}, "expected uint8 images"),
        ({"images": torch.rand(4)}, r"expected inputs \[samples, \.\.\.\], got \[4\]"),
        ({"images": torch.full((4, 2), math.nan)}, "pets: inputs: .* 8 of 8"),
        ({"images": IMAGES[:3]}, "4 labels and 3 samples"),
        ({"targets": TARGETS + 1}, r"pets: targets: expected labels in 0\.\.1, got 1\.\.2"),
        ({"targets": TARGETS.int()}, "int64"),
        ({"images": IMAGES[:0], "targets": TARGETS[:0]}, "at least one sample"),
        ({"names": ("cat",)}, "two class names or more, got 1"),
        ({"names": ("cat", "cat")}, "names that differ"),
    ],
)
def test_bad_sets(changes, words):
    with pytest.raises(InputError, match=words):
        make(**changes)


def test_source_parts_must_match():
    train = make()
    assert Source(train, make(name="test"), make(name="clean")).test.name == "test"
    with pytest.raises(InputError, match=r"classes of pets \(cat, dog\), got \(cat, cow\)"):
        Source(train, make(names=("cat", "cow"), name="test"))
    with pytest.raises(InputError, match=r"samples \[3, 2, 2\] as in pets, got \[1, 2, 2\]"):
        Source(train, clean=make(images=IMAGES[:, :1], name="clean"))
