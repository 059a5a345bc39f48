"""Meta samples whose labels nobody checked."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from metaloss.checks import InputError
from metaloss.tasks import (
    ImageSet,
    NoisyLabels,
    Source,
    Table,
    classification_task,
    corruption,
    noise,
    noise_grid,
    regression_task,
    relabelled,
)

SAMPLES = 400
SYMMETRIC = partial(noise.symmetric, rate=0.4)


def rows(count: int, first: int = 0) -> ImageSet:
    """A set in which each sample is a different number, labelled by its remainder."""
    inputs = torch.arange(first, first + count, dtype=torch.float64)[:, None].expand(-1, 2)
    return ImageSet(inputs.clone(), torch.arange(count) % 4, ("a", "b", "c", "d"), "numbers")


SOURCE = Source(rows(SAMPLES), rows(80, 1000), rows(60, 2000), labels_checked=True)
TASK = partial(classification_task, data=SOURCE, batch_size=20, meta_batch_size=20)
VALUES = Table(torch.randn(90, 2), torch.randn(90, 1), "values", targets_checked=True)
REGRESSION = partial(regression_task, data=VALUES, num_test=10, batch_size=10, meta_batch_size=10)


def members(loader) -> dict[float, float]:
    """The target of every sample of a loader, by its first input."""
    found: dict[float, float] = {}
    for batch in loader.in_order().epoch(0):
        found |= dict(
            zip(batch.inputs[:, 0].tolist(), batch.targets.flatten().tolist(), strict=True)
        )
    return found


def wrong(labels: dict[float, float]) -> int:
    return sum(label != number % 4 for number, label in labels.items())


@pytest.mark.parametrize(
    ("changes", "train", "meta"),
    [({}, 320, 80), ({"subset": 200}, 160, 40), ({"num_validation": 100}, 240, 60)],
)
def test_a_fraction_of_the_training_samples(changes, train: int, meta: int) -> None:
    task = TASK(noise=SYMMETRIC, meta_from="noisy", num_meta=0.2, **changes)
    assert (len(members(task.train)), len(members(task.meta))) == (train, meta)
    assert task.meta_samples.number == meta


def test_a_fraction_of_the_training_samples_of_a_table() -> None:
    task = REGRESSION(meta_from="noisy", num_meta=0.25)
    assert (task.train.num_samples, task.meta.num_samples) == (60, 20)


def test_held_out_noisy_samples_keep_their_noise() -> None:
    task = TASK(noise=SYMMETRIC, meta_from="noisy", num_meta=200)
    train, meta = members(task.train), members(task.meta)
    assert len(train) == len(meta) == 200
    assert not set(train) & set(meta)
    assert 50 < wrong(meta) < 110 and wrong(train) == int(task.flipped.sum())
    assert not task.meta_checked


def test_shared_samples_are_the_training_samples() -> None:
    task = TASK(noise=SYMMETRIC, meta_from="shared", num_meta=None)
    assert members(task.meta) == members(task.train)
    assert len(members(task.meta)) == SAMPLES and wrong(members(task.meta)) > 100
    first = [next(loader.epoch(0)).inputs[:, 0] for loader in (task.train, task.meta)]
    assert not torch.equal(*first)  # in an order of their own
    assert not task.meta_checked


def test_some_of_the_training_samples() -> None:
    task = TASK(noise=SYMMETRIC, meta_from="shared", num_meta=60)
    train, meta = members(task.train), members(task.meta)
    assert len(meta) == 60
    assert all(train[number] == label for number, label in meta.items())
    assert members(TASK(noise=SYMMETRIC, meta_from="shared", num_meta=60, seed=1).meta) != meta


def test_no_meta_samples() -> None:
    assert TASK(meta_from="shared", num_meta=0).meta is None
    assert TASK(meta_from="noisy", num_meta=0).meta is None
    assert REGRESSION(meta_from="shared", num_meta=0).meta is None


@pytest.mark.parametrize("meta_from", ["noisy", "shared"])
def test_a_suite_gives_them_the_noise_of_each_task(meta_from: str) -> None:
    number = None if meta_from == "shared" else 200
    specs = noise_grid(
        task=partial(TASK, meta_from=meta_from, num_meta=number),
        noises={"symmetric": noise.symmetric, "instance": noise.instance_dependent},
        rates=(0.0, 0.4),
    )
    for spec, some in zip(specs, (False, True, False, True), strict=True):
        task = spec.task(seed=0, device="cpu")
        meta = members(task.meta)
        if meta_from == "shared":
            assert meta == members(task.train)
        assert (wrong(meta) > len(meta) / 4) == some
        assert wrong(members(task.train)) == int(task.flipped.sum())
        assert not task.meta_checked


def test_a_suite_with_some_of_the_training_samples() -> None:
    make = partial(TASK, meta_from="shared", num_meta=60)
    (spec,) = noise_grid(task=make, noises={"symmetric": noise.symmetric}, rates=(0.4,))
    task = spec.task(seed=3, device="cpu")
    train, meta = members(task.train), members(task.meta)
    assert len(meta) == 60 and wrong(meta) > 10
    assert all(train[number] == label for number, label in meta.items())


@pytest.mark.parametrize("meta_from", ["noisy", "shared"])
def test_labels_stay_with_their_samples_if_the_noise_has_another_seed(meta_from: str) -> None:
    clean = TASK(meta_from=meta_from, num_meta=60, seed=0)
    task = relabelled(clean, partial(noise.symmetric, rate=0.1), name="noisy", seed=5)
    train, meta = members(task.train), members(task.meta)
    assert set(meta) == set(members(clean.meta)) and wrong(meta) < 20
    assert meta_from == "noisy" or all(train[number] == label for number, label in meta.items())


def test_noise_from_a_file(tmp_path) -> None:
    noisy = SYMMETRIC(SOURCE.train.targets, num_classes=4, generator=torch.Generator())
    noisy.save(tmp_path / "noise.safetensors")
    task = TASK(noise_file=tmp_path / "noise.safetensors", meta_from="noisy", num_meta=100)
    for loader in (task.train, task.meta):
        for number, label in members(loader).items():
            assert label == noisy.labels[int(number)]
    assert isinstance(task.noise, NoisyLabels) and len(task.noise.labels) == 300


@pytest.mark.parametrize(
    ("changes", "checked"),
    [
        ({"meta_from": "train"}, True),
        ({"meta_from": "clean"}, True),
        ({"meta_from": "test"}, True),
        ({"meta_from": "shared", "num_meta": None}, True),  # no noise on labels that are right
        ({"meta_from": "shared", "num_meta": None, "noise": SYMMETRIC}, False),
        ({"meta_from": "noisy", "noise": SYMMETRIC}, False),
    ],
)
def test_who_checked_them(changes, checked: bool) -> None:
    assert TASK(**{"num_meta": 20, **changes}).meta_checked == checked
    nobody = Source(SOURCE.train, SOURCE.test, SOURCE.clean)
    found = TASK(**{"num_meta": 20, "data": nobody, **changes}).meta_checked
    assert found == (changes["meta_from"] in {"clean", "test"})


@pytest.mark.parametrize("meta_from", ["noisy", "shared"])
def test_values(meta_from: str) -> None:
    number = None if meta_from == "shared" else 40
    noisy = partial(corruption.shifted, rate=0.5)
    task = REGRESSION(noise=noisy, meta_from=meta_from, num_meta=number)
    right = REGRESSION(meta_from=meta_from, num_meta=number)
    found, known = members(task.meta), members(right.meta)
    assert set(found) == set(known)
    shifted = sum(found[name] > known[name] + 1 for name in found)
    assert 0.25 < shifted / len(found) < 0.75
    if meta_from == "shared":
        assert found == members(task.train)
    assert not task.meta_checked and right.meta_checked


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            partial(TASK, num_meta=None),
            "num_meta: expected a number, got None for meta_from='train'",
        ),
        (partial(TASK, num_meta=401, meta_from="shared"), "at most the 400 training samples"),
        (partial(TASK, num_meta=-1, meta_from="shared"), "num_meta"),
        (partial(TASK, num_meta=0.2), "num_meta: expected a whole number"),
        (partial(TASK, num_meta=1.5, meta_from="noisy"), r"a fraction in \(0, 1\), got 1.5"),
        (partial(TASK, num_meta=10, meta_from="noisy"), "meta_batch_size"),
        (partial(REGRESSION, meta_from="clean"), "meta_from: expected one of train, noisy, shared"),
    ],
)
def test_bad_input(make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
