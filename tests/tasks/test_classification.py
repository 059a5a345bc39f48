"""Classification tasks, end to end."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch

from metaloss.checks import InputError
from metaloss.tasks import (
    Augment,
    ImageSet,
    Source,
    channel_statistics,
    classification_task,
    digits,
    image_files,
    noise,
)
from metaloss.types import TaskLike

SYMMETRIC = partial(noise.symmetric, rate=0.4)
DIGITS = partial(classification_task, data=digits, num_meta=100, num_test=360)


def rows(count, first):
    """A set in which each sample is a different number."""
    inputs = torch.arange(first, first + count, dtype=torch.float64)[:, None].expand(-1, 2)
    return ImageSet(inputs.clone(), torch.arange(count) % 4, ("a", "b", "c", "d"), "numbers")


SOURCE = Source(rows(400, 0), rows(80, 1000), rows(60, 2000))
NUMBERS = partial(
    classification_task,
    data=SOURCE,
    num_meta=20,
    num_validation=12,
    batch_size=10,
    meta_batch_size=10,
    eval_batch_size=30,
)


def members(loader):
    """Return the number and the label of every sample of a loader."""
    found = {}
    for number in range(60 if loader is not None else 0):
        for batch in loader.epoch(number):
            found |= dict(
                zip(batch.inputs[:, 0].int().tolist(), batch.targets.tolist(), strict=True)
            )
    return found


def sets_of(task):
    return {name: members(getattr(task, name)) for name in ("train", "meta", "validation", "test")}


def test_digits_end_to_end():
    task = DIGITS(noise=SYMMETRIC, num_validation=50, augment=partial(Augment, crop_padding=1))
    assert isinstance(task, TaskLike)
    assert (task.name, task.num_classes, task.sample_shape) == ("digits", 10, (1, 8, 8))
    sizes = [s.num_samples for s in (task.train, task.meta, task.validation, task.test)]
    assert sizes == [1287, 100, 50, 360]
    assert sum(sizes) == 1797
    batches = list(task.train.epoch(0))
    assert len(batches) == len(task.train) == 12
    for batch in batches:
        assert batch.inputs.shape == (100, 1, 8, 8)
        assert batch.inputs.dtype == torch.float32
        assert torch.equal(task.train_targets[batch.index], batch.targets)
    assert torch.equal(task.noise.labels, task.train_targets)
    assert torch.equal(task.flipped, task.noise.original != task.train_targets)
    assert abs(task.noise.rate - 0.4) < 5 * math.sqrt(0.24 / 1287)
    (meta,) = list(task.meta.epoch(0))
    assert meta.targets.bincount(minlength=10).tolist() == [10] * 10
    test = torch.cat([batch.targets for batch in task.test.epoch(0)])
    assert len(test) == 360


def test_inputs_are_normalised_by_the_training_images():
    task = DIGITS(augment=None)
    inputs = torch.cat([b.inputs for n in range(3) for b in task.train.epoch(n)]).double()
    assert abs(float(inputs.mean())) < 0.01
    assert abs(float(inputs.std()) - 1) < 0.01
    given = DIGITS(mean=(0.0,), std=(1.0,))
    assert {0.0, 1.0} <= set(next(given.train.epoch(0)).inputs.unique().tolist())
    mean, std = channel_statistics(digits().train.images)
    same = DIGITS(mean=list(mean), std=list(std))
    (first,) = [b.inputs for b in same.test.epoch(0)]
    (other,) = [b.inputs for b in task.test.epoch(0)]
    torch.testing.assert_close(first, other, rtol=0, atol=0.02)


def test_augmentation_of_the_training_set_and_optionally_of_the_meta_set():
    factory = partial(Augment, crop_padding=1)
    plain, with_meta, without_meta = (
        DIGITS(),
        DIGITS(augment=factory),
        DIGITS(augment=factory, augment_meta=False),
    )

    def first(task, part):
        batch = next(getattr(task, part).epoch(0))
        return batch.inputs[batch.index.argsort()]

    assert torch.equal(first(plain, "test"), first(with_meta, "test"))
    assert not torch.equal(first(plain, "train"), first(with_meta, "train"))
    assert not torch.equal(first(plain, "meta"), first(with_meta, "meta"))
    assert torch.equal(first(plain, "meta"), first(without_meta, "meta"))


@pytest.mark.parametrize(("meta_from", "first"), [("train", 0), ("test", 1000), ("clean", 2000)])
def test_origin_of_the_clean_samples(meta_from, first):
    task = NUMBERS(noise=SYMMETRIC, meta_from=meta_from)
    sets = sets_of(task)
    sizes = {name: len(found) for name, found in sets.items()}
    taken = 32 if meta_from == "train" else 0
    assert sizes["meta"] == 20
    assert sizes["validation"] == 12
    assert sizes["train"] == 400 - taken
    assert sizes["test"] == 80 - (32 if meta_from == "test" else 0)
    for name in ("meta", "validation"):
        assert all(first <= number < first + 400 for number in sets[name])
        assert all(label == number % 4 for number, label in sets[name].items())  # clean
        assert not set(sets[name]) & set(sets["train"])
        assert not set(sets[name]) & set(sets["test"])
    assert not set(sets["meta"]) & set(sets["validation"])
    assert all(label == number % 4 for number, label in sets["test"].items())
    wrong = sum(label != number % 4 for number, label in sets["train"].items())
    assert wrong == int(task.flipped.sum()) > 100


def test_overlap_is_refused():
    train = rows(400, 0)
    same = Source(train, train.with_targets(train.targets))  # other labels, the same samples
    with pytest.raises(InputError, match="meta and test: expected no sample in both, got 20 "):
        NUMBERS(data=same)
    assert NUMBERS(data=same, allow_overlap=True).test.num_samples == 400


def test_pure_in_the_seed():
    def content(seed):
        task = NUMBERS(noise=SYMMETRIC, seed=seed)
        batch = next(task.train.epoch(2))
        return task.train_targets, batch.inputs, next(task.meta.epoch(0)).inputs

    state = torch.get_rng_state()
    first, again, other = content(3), content(3), content(4)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_training_and_meta_batches_have_separate_random_streams():
    task = NUMBERS(subset=20, num_meta=20)
    orders = [
        torch.cat([batch.index for batch in loader.epoch(0)]) for loader in (task.train, task.meta)
    ]
    assert len(orders[0]) == len(orders[1])
    assert not torch.equal(*orders)


def test_noise_changes_neither_the_split_nor_the_order():
    plain, noisy = NUMBERS(), NUMBERS(noise=SYMMETRIC)
    for part in ("train", "meta", "validation", "test"):
        one, two = next(getattr(plain, part).epoch(1)), next(getattr(noisy, part).epoch(1))
        assert torch.equal(one.inputs, two.inputs)
    assert plain.noise is None
    assert plain.flipped is None


def test_the_source_is_not_modified():
    before = SOURCE.train.targets.clone(), SOURCE.train.images.clone()
    NUMBERS(noise=SYMMETRIC)
    assert torch.equal(SOURCE.train.targets, before[0])
    assert torch.equal(SOURCE.train.images, before[1])


def test_noise_gets_the_inputs_if_it_takes_them():
    seen = []

    def asks(inputs, targets, num_classes, generator):
        seen.append(inputs)
        return noise.symmetric(targets, 0.5, num_classes, generator)

    task = NUMBERS(noise=asks)
    assert len(seen[0]) == task.train.num_samples == 368
    order = {int(x): i for i, x in enumerate(seen[0][:, 0])}
    batch = next(task.train.epoch(0))
    assert [order[int(x)] for x in batch.inputs[:, 0]] == batch.index.tolist()
    instance = NUMBERS(noise=partial(noise.instance_dependent, rate=0.3))
    assert abs(instance.noise.rate - 0.3) < 5 * math.sqrt(0.21 / 368)
    matrix = NUMBERS(noise=partial(noise.from_matrix, matrix=torch.eye(4).flip(0)))
    assert torch.equal(matrix.train_targets, 3 - matrix.noise.original)


def test_noise_file_of_this_split_or_of_the_whole_source(tmp_path):
    made = NUMBERS(noise=SYMMETRIC)
    made.noise.save(tmp_path / "split")
    loaded = NUMBERS(noise_file=tmp_path / "split")
    assert torch.equal(loaded.train_targets, made.train_targets)
    assert loaded.noise.digest == made.noise.digest
    with pytest.raises(InputError, match="got others at"):
        NUMBERS(noise_file=tmp_path / "split", seed=1)

    whole = noise.symmetric(SOURCE.train.targets, 0.5, 4, torch.Generator().manual_seed(0))
    whole.save(tmp_path / "whole")
    for seed in (0, 1):
        task = NUMBERS(noise_file=str(tmp_path / "whole"), seed=seed)
        for number, label in members(task.train).items():
            assert label == int(whole.labels[number])


def test_noise_file_of_other_data(tmp_path):
    for classes, count, words in ((4, 100, "368 samples, got 100"), (5, 368, "4 classes, got 5")):
        labels = torch.arange(count) % 4
        record = noise.symmetric(labels, 0.5, classes, torch.Generator().manual_seed(0))
        record.save(tmp_path / "labels")
        with pytest.raises(InputError, match=words):
            NUMBERS(noise_file=tmp_path / "labels")


def test_subset_and_a_smaller_evaluation_batch():
    task = NUMBERS(subset=50, noise=SYMMETRIC)
    assert task.train.num_samples == len(task.train_targets) == 50
    assert [len(batch.targets) for batch in task.test.epoch(0)] == [30, 30, 20]
    assert [len(batch.targets) for batch in task.validation.epoch(0)] == [12]


def test_without_meta_and_validation():
    task = NUMBERS(num_meta=0, num_validation=0, meta_from="clean", name="mine")
    assert task.meta is None
    assert task.validation is None
    assert (task.name, task.train.num_samples) == ("mine", 400)


def test_image_files_make_a_task(pets):
    root, _ = pets
    source = image_files(root, size=6, clean="verified")
    task = classification_task(
        data=source,
        noise=SYMMETRIC,
        num_meta=6,
        meta_from="clean",
        batch_size=8,
        meta_batch_size=6,
        eval_batch_size=5,
    )
    assert isinstance(task, TaskLike)
    batch = next(task.train.epoch(0))
    assert batch.inputs.shape == (8, *task.sample_shape) == (8, 3, 6, 6)
    assert torch.equal(task.train_targets[batch.index], batch.targets)
    assert next(task.meta.epoch(0)).targets.bincount().tolist() == [2, 2, 2]
    assert [len(batch.targets) for batch in task.test.epoch(0)] == [5, 5, 2]
    with pytest.raises(InputError, match="no inputs, since the samples are files"):
        classification_task(
            data=source, noise=partial(noise.instance_dependent, rate=0.4), num_meta=0
        )
    with pytest.raises(InputError, match="pets is not uint8 images in memory"):
        classification_task(data=source, num_meta=0, augment=Augment)


@pytest.mark.parametrize("seed", [0, 1])
def test_samples_without_names_are_named_by_their_positions_in_the_data(seed: int) -> None:
    task = classification_task(data=digits, num_meta=100, num_test=360, seed=seed)
    given = digits().train.targets
    for names, loader in ((task.train_ids, task.train), (task.held_out_ids, task.test)):
        (batch,) = (b for b in loader.in_order().epoch(0) if b.index is not None and 5 in b.index)
        at = torch.tensor([int(names[i]) for i in batch.index.tolist()])
        assert torch.equal(given[at], batch.targets)
    assert not set(task.train_ids) & set(task.held_out_ids)
