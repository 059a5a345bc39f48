"""Splits into disjoint sets."""

from __future__ import annotations

import pytest
import torch

from metaloss.checks import InputError
from metaloss.tasks import check_disjoint, split
from metaloss.tasks.splits import check_classes

# 100 samples of class 0, 50 of class 1, 30 of class 2, shuffled
TARGETS = torch.tensor([0] * 100 + [1] * 50 + [2] * 30)[
    torch.randperm(180, generator=torch.Generator().manual_seed(9))
]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("balanced", [(), ("meta",), ("meta", "validation")])
def test_sets_are_disjoint_complete_and_of_the_given_sizes(balanced):
    sets = split(TARGETS, {"meta": 31, "validation": 20, "train": None}, generator(), balanced)
    assert [len(index) for index in sets.values()] == [31, 20, 129]
    together = torch.cat(list(sets.values()))
    assert together.sort().values.tolist() == list(range(180))
    for index in sets.values():
        assert index.dtype == torch.int64
        assert index.tolist() == sorted(index.tolist())


def test_samples_left_over_belong_to_no_set():
    sets = split(TARGETS, {"meta": 10, "train": 100}, generator())
    assert len(set(sets["meta"].tolist()) | set(sets["train"].tolist())) == 110


@pytest.mark.parametrize("size", [3, 31, 62, 90])
def test_balanced_sets_have_equally_many_samples_of_each_class(size):
    counts = []
    for seed in range(20):
        meta = split(TARGETS, {"meta": size}, generator(seed), ["meta"])["meta"]
        counts.append(TARGETS[meta].bincount(minlength=3))
        assert int(counts[-1].sum()) == size
        assert int(counts[-1].max() - counts[-1].min()) == (size % 3 > 0)
    if size == 31:  # each class gets the extra sample for some seeds
        assert bool((torch.stack(counts).sum(0) > 20 * 10).all())


def test_samples_of_a_class_are_equally_likely():
    times = torch.zeros(180)
    for seed in range(300):
        times[split(TARGETS, {"meta": 30}, generator(seed), ["meta"])["meta"]] += 1
    for label, count in ((0, 100), (1, 50), (2, 30)):
        p = 10 / count
        drawn = times[label == TARGETS]
        assert float(drawn.sum()) == 3000
        assert bool(((drawn - 300 * p).abs() < 5 * (300 * p * (1 - p)) ** 0.5).all())


def test_pure_in_the_generator():
    sizes = {"meta": 31, "train": None}
    first = split(TARGETS, sizes, generator(4), ["meta"])
    again = split(TARGETS, sizes, generator(4), ["meta"])
    other = split(TARGETS, sizes, generator(5), ["meta"])
    assert torch.equal(first["meta"], again["meta"])
    assert not torch.equal(first["meta"], other["meta"])


def test_a_set_does_not_depend_on_those_after_it():
    one = split(TARGETS, {"meta": 31, "train": None}, generator(), ["meta"])
    two = split(TARGETS, {"meta": 31, "validation": 9, "train": 5}, generator(), ["meta"])
    assert torch.equal(one["meta"], two["meta"])


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("sizes", "balanced", "words"),
    [
        ({}, (), "one set or more"),
        ({"meta": 0, "train": None}, (), "meta: .* at least 1, got 0"),
        ({"meta": 1.5}, (), "whole number"),
        ({"meta": 100, "train": 81}, (), r"at most the 180 .*, got 181 \(meta 100, train 81\)"),
        ({"meta": 180, "train": None}, (), "which leaves none for train"),
        ({"train": None, "meta": 10}, (), "only the last set, meta, can be the rest"),
        ({"meta": 10}, ("train",), "one of meta, got 'train'"),
        (
            {"meta": 93},
            ("meta",),
            r"meta: .* 31 samples of class 2 for a .* of 93, got 30; .* \(balanced\)",
        ),
    ],
)
def test_bad_sizes(sizes, balanced, words):
    with pytest.raises(InputError, match=words):
        split(TARGETS, sizes, generator(), balanced)


def test_overlap_is_refused_unless_permitted():
    sets = {
        "meta": torch.tensor([1, 2, 3]),
        "train": torch.tensor([7, 8]),
        "test": torch.tensor([3, 4, 2]),
    }
    with pytest.raises(InputError, match=r"meta and test: expected no sample in both, got 2"):
        check_disjoint(sets)
    check_disjoint(sets, allow_overlap=True)
    check_disjoint({"meta": sets["meta"], "train": sets["train"]})


def test_a_meta_set_needs_two_classes():
    check_classes("meta", torch.tensor([0, 1, 0]))
    with pytest.raises(InputError, match=r"meta: .* two classes or more, got 1"):
        check_classes("meta", torch.tensor([2, 2]))
