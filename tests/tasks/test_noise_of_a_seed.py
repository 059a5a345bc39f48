"""The noisy labels of a seed, which published figures depend on."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from metaloss.seeding import generator
from metaloss.tasks import noise

TARGETS = torch.arange(10).repeat(3)
INPUTS = torch.arange(120).reshape(30, 4) / 60 - 1

LABELS = {
    "symmetric": (
        partial(noise.symmetric, rate=0.4),
        "053625138105234563993159456719",
    ),
    "asymmetric": (
        partial(noise.asymmetric, rate=0.4, mapping="cifar10"),
        "012545678101237567890125756789",
    ),
    "hierarchical": (
        partial(noise.hierarchical, rate=0.9, groups=[0, 0, 0, 0, 0, 1, 1, 1, 1, 1]),
        "143408557534103775963344298657",
    ),
    "instance": (
        partial(noise.instance_dependent, INPUTS, rate=0.4),
        "010445078905534567890123160789",
    ),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_of_a_seed_do_not_change(name: str) -> None:
    """A change of precision or of the order of draws would change the labels."""
    make, expected = LABELS[name]
    found = make(targets=TARGETS, num_classes=10, generator=generator(0, "noise")).labels
    assert "".join(map(str, found.tolist())) == expected
