"""Suites of tasks."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch

from metaloss.checks import InputError
from metaloss.tasks import classification_task, digits, join, noise, noise_grid, relabelled

CLEAN = partial(classification_task, data=digits, num_meta=100, num_test=360, batch_size=50)
NOISES = {"symmetric": noise.symmetric, "instance": noise.instance_dependent}


class OneBatch:
    """A loader of another type."""

    num_samples = 1

    def __len__(self) -> int:
        return 1

    def epoch(self, number: int):
        return iter([])


def suite(**changes):
    return noise_grid(**{"task": CLEAN, "noises": NOISES, "rates": (0.2, 0.6)} | changes)


def test_a_task_for_every_noise_and_rate() -> None:
    specs = suite(prefix="digits-")
    assert [spec.name for spec in specs] == [
        "digits-symmetric-0.2",
        "digits-symmetric-0.6",
        "digits-instance-0.2",
        "digits-instance-0.6",
    ]
    for spec, rate in zip(specs, (0.2, 0.6, 0.2, 0.6), strict=True):
        task = spec.task(seed=0, device="cpu")
        assert task.name == spec.name
        assert task.noise.rate == pytest.approx(rate, abs=0.05)
        batch = next(iter(task.train.epoch(3)))
        assert torch.equal(batch.targets, task.train_targets[batch.index])
        assert torch.equal(task.flipped, task.noise.flipped)


def test_networks_and_recipes_are_passed_on() -> None:
    recipe = object()
    for spec in suite(model=dict, recipe=recipe):
        assert spec.model is dict
        assert spec.recipe is recipe


def test_tasks_share_samples_and_nothing_else() -> None:
    first, second, *_ = (spec.task(seed=0, device="cpu") for spec in suite())
    for a, b in ((first.train, second.train), (first.meta, second.meta), (first.test, second.test)):
        assert a.inputs.data_ptr() == b.inputs.data_ptr()
    assert not torch.equal(first.noise.flipped, second.noise.flipped)
    for name in ("train", "meta"):
        one, other = (next(iter(getattr(t, name).epoch(0))).index for t in (first, second))
        assert not torch.equal(one, other)
    clean = CLEAN(seed=0)
    assert torch.equal(first.noise.original, clean.train_targets)


def test_tasks_are_determined_by_the_seed() -> None:
    (spec,) = suite(noises={"symmetric": noise.symmetric}, rates=(0.4,))
    zero, one, again = (spec.task(seed=seed, device="cpu") for seed in (0, 1, 0))
    assert not torch.equal(zero.train.inputs, one.train.inputs)
    assert torch.equal(zero.train_targets, again.train_targets)


def test_suites_are_joined_in_order() -> None:
    both = join(suites=[suite(prefix="a-"), suite(prefix="b-")])
    assert [spec.name[0] for spec in both] == list("aaaabbbb")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noises": {}}, "noises: expected one or more, got none"),
        ({"rates": ()}, "rates: expected one or more, got none"),
        ({"rates": (0.2, 1.2)}, "rate: expected"),
    ],
)
def test_bad_suites(changes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        suite(**changes)


def test_noise_is_added_to_clean_labels_only() -> None:
    (spec,) = suite(
        task=partial(CLEAN, noise=partial(noise.symmetric, rate=0.1)),
        noises={"symmetric": noise.symmetric},
        rates=(0.4,),
    )
    with pytest.raises(InputError, match="expected one without noise"):
        spec.task(seed=0, device="cpu")


def test_loaders_of_another_type_are_refused() -> None:
    task = replace(CLEAN(), train=OneBatch())
    with pytest.raises(InputError, match=r"expected a BatchLoader or a FolderLoader, .* OneBatch"):
        relabelled(task, partial(noise.symmetric, rate=0.4), name="x", seed=1)


def test_relabelled_without_clean_samples() -> None:
    task = CLEAN(num_meta=0)
    again = relabelled(task, partial(noise.symmetric, rate=0.4), name="x", seed=1)
    assert again.meta is None
    assert len(again.train) == len(task.train)


def test_chosen_samples_that_judge_keep_their_labels() -> None:
    whole = classification_task(data=digits, meta_from="shared", num_meta=100, num_test=360)
    chosen = torch.randperm(1437, generator=torch.Generator().manual_seed(0))
    noisy = partial(noise.symmetric, rate=0.4)
    task = relabelled(whole.select(chosen), noisy, name="x", seed=0)
    labels = {row.numpy().tobytes(): int(y) for row, y in pairs(task.train)}
    found = {row.numpy().tobytes(): int(y) for row, y in pairs(task.meta)}
    assert len(found) == 100 and all(labels[row] == label for row, label in found.items())


def pairs(loader) -> list[tuple[torch.Tensor, torch.Tensor]]:
    batches = loader.in_order().epoch(0)
    return [pair for each in batches for pair in zip(each.inputs, each.targets, strict=True)]
