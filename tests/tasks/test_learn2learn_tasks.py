"""Noise on learn2learn's tasks, and suites from its tasksets."""

from __future__ import annotations

import random
from functools import partial

import jaxtyping
import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from metaloss.checks import InputError
from metaloss.experiments import Adjusted, MetaTraining, RunFolder, RunSettings
from metaloss.losses import GCE
from metaloss.shim import import_torchvision
from metaloss.tasks import NoisyLabelsTransform, classification_task, noise, taskset_suite
from metaloss.tasks.learn2learn_tasks import _sampled
from metaloss.training import Recipe

import_torchvision()  # before learn2learn imports torchvision
l2l = pytest.importorskip("learn2learn")
transforms = l2l.data.transforms

WAYS, SHOTS = 4, 30
HALF = partial(noise.symmetric, rate=0.5)


def dataset() -> object:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(400) % 8
    centres = 3 * torch.randn(8, 6, generator=generator)
    inputs = centres[labels] + torch.randn(400, 6, generator=generator)
    return l2l.data.MetaDataset(TensorDataset(inputs, labels))


def taskset(*noisy: NoisyLabelsTransform, data=None, remap: bool = True, num_tasks: int = 3):
    data = data or dataset()
    steps = [
        transforms.NWays(data, n=WAYS),
        transforms.KShots(data, k=SHOTS),
        transforms.LoadData(data),
        *noisy,
        *([transforms.RemapLabels(data)] if remap else []),
    ]
    return l2l.data.Taskset(data, steps, num_tasks=num_tasks)


def transform(data, how=HALF, **options) -> NoisyLabelsTransform:
    return NoisyLabelsTransform(data, how, torch.Generator().manual_seed(1), **options)


@pytest.fixture(autouse=True)
def _same_tasks_every_time():
    before = random.getstate()
    random.seed(5)
    yield
    random.setstate(before)


@pytest.mark.parametrize("remap", [True, False])
def test_flipped_labels_are_classes_of_the_task(remap: bool) -> None:
    data = dataset()
    inputs, labels, wrong = taskset(transform(data, mark=True), data=data, remap=remap)[0]
    assert inputs.shape == (WAYS * SHOTS, 6)
    assert len(set(labels.tolist())) == WAYS
    assert wrong.double().mean().item() == pytest.approx(0.5, abs=0.15)
    # Samples with right labels are nearest to the mean of their class, others to another mean.
    clean = inputs[~wrong], labels[~wrong]
    classes = clean[1].unique()
    means = torch.stack([clean[0][clean[1] == c].mean(0) for c in classes])
    nearest = classes[torch.cdist(inputs, means).argmin(1)]
    assert (nearest == labels)[~wrong].double().mean() > 0.95
    assert (nearest == labels)[wrong].double().mean() < 0.1


def test_a_task_is_the_same_each_time_it_is_read() -> None:
    data = dataset()
    tasks = taskset(transform(data), data=data)
    assert torch.equal(tasks[1][1], tasks[1][1])
    assert not torch.equal(tasks[0][0], tasks[1][0])


def test_the_first_samples_of_each_class_can_be_kept_clean() -> None:
    data = dataset()
    everything = partial(noise.symmetric, rate=1.0)
    noisy = transform(data, everything, keep=10, mark=True)
    _, labels, wrong = taskset(noisy, data=data)[0]
    assert int((~wrong).sum()) == 10 * WAYS
    assert labels[~wrong].bincount().tolist() == [10] * WAYS


def test_noise_that_depends_on_the_input() -> None:
    data = dataset()
    how = partial(noise.instance_dependent, rate=0.4)
    _, _, wrong = taskset(transform(data, how, mark=True), data=data)[0]
    assert 0.1 < wrong.double().mean().item() < 0.7


def test_a_wrong_place_among_the_transforms_is_refused() -> None:
    data = dataset()
    late = l2l.data.Taskset(
        data,
        [
            transforms.NWays(data, n=WAYS),
            transforms.LoadData(data),
            transforms.RemapLabels(data),
            transform(data),
        ],
        num_tasks=1,
    )
    with pytest.raises(InputError, match="expected to come before RemapLabels"):
        late[0]
    with pytest.raises(InputError, match="expected to come after LoadData"):
        transform(data)(None)
    alone = l2l.data.Taskset(
        data, [transforms.NWays(data, n=1), transforms.LoadData(data), transform(data)], num_tasks=1
    )
    with pytest.raises(InputError, match="expected tasks of two classes or more"):
        alone[0]
    with pytest.raises(InputError, match="keep: expected a whole number of at least 0"):
        transform(data, keep=-1)


class TestSuite:
    made = staticmethod(
        partial(
            classification_task,
            noise=HALF,
            num_meta=20,
            num_test=20,
            batch_size=20,
            meta_batch_size=20,
        )
    )

    @pytest.mark.parametrize("num_tasks", [3, -1])
    def test_tasks_are_determined_by_the_seed(self, num_tasks: int) -> None:
        tasks = taskset(num_tasks=num_tasks)
        specs = taskset_suite(taskset=tasks, number=3, task=self.made, recipe="ours")
        assert [spec.name for spec in specs] == ["task-0", "task-1", "task-2"]
        assert {spec.recipe for spec in specs} == {"ours"}
        first = specs[0].task(seed=0, device="cpu")
        assert (first.num_classes, first.train.num_samples) == (WAYS, WAYS * SHOTS - 40)
        assert first.noise.rate == pytest.approx(0.5, abs=0.2)
        again = taskset_suite(taskset=taskset(num_tasks=num_tasks), number=3, task=self.made)
        same = again[0].task(seed=0, device="cpu")
        assert torch.equal(first.train.inputs, same.train.inputs)
        other = specs[1].task(seed=0, device="cpu")
        assert not torch.equal(first.train.inputs, other.train.inputs)

    @pytest.mark.parametrize("num_tasks", [3, -1])
    def test_tasks_of_a_seed_do_not_depend_on_earlier_ones(self, num_tasks: int) -> None:
        def inputs(*seeds: int) -> torch.Tensor:
            spec = taskset_suite(taskset=taskset(num_tasks=num_tasks), number=1, task=self.made)[0]
            return [spec.task(seed=seed, device="cpu").train.inputs for seed in seeds][-1]

        assert torch.equal(inputs(0, 1), inputs(1))
        assert not torch.equal(inputs(0), inputs(1))

    def test_random_data_sets_are_determined_by_the_seed_too(self) -> None:
        class Shaken(TensorDataset):
            def __getitem__(self, index):
                sample, label = super().__getitem__(index)
                return sample + torch.rand(6) + float(np.random.rand()), label  # noqa: NPY002

        data = l2l.data.MetaDataset(Shaken(torch.randn(400, 6), torch.arange(400) % 8))
        (spec,) = taskset_suite(taskset=taskset(data=data), number=1, task=self.made)
        first = spec.task(seed=0, device="cpu").train.inputs
        before = torch.rand(1), np.random.rand()  # noqa: NPY002
        state = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
        assert before is not None
        assert torch.equal(spec.task(seed=0, device="cpu").train.inputs, first)
        assert torch.equal(torch.get_rng_state(), state[0])
        assert np.random.get_state()[1].tolist() == state[1]  # noqa: NPY002

    def test_pythons_generator_is_restored(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # Type checking draws from it too.
        monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
        tasks, before = taskset(), random.getstate()
        _sampled(tasks, 7, "task")
        assert random.getstate() == before

    def test_an_adjuster_is_meta_trained_on_them(self, tmp_path) -> None:
        training = MetaTraining(
            tasks=taskset_suite(taskset=taskset(), number=3, task=self.made),
            methods=[Adjusted(name="A-GCE", loss=GCE())],
            recipe=Recipe(epochs=2, meta_every=1),
            model=lambda: nn.Linear(6, WAYS),
            settings=RunSettings(device="cpu"),
        )
        training.run(RunFolder(tmp_path / "run"))
        assert (tmp_path / "run" / "A-GCE" / "seed-0" / "adjuster" / "card.json").is_file()

    def test_no_more_tasks_than_there_are(self) -> None:
        with pytest.raises(
            InputError, match="number: expected at most the 3 tasks there are, got 4"
        ):
            taskset_suite(taskset=taskset(), number=4)
        with pytest.raises(InputError, match="number: expected a whole number of at least 1"):
            taskset_suite(taskset=taskset(), number=0)

    @pytest.mark.bad_input
    def test_tasksets_that_are_refused(self) -> None:
        with pytest.raises(InputError, match=r"taskset: expected .*Taskset, got MetaDataset"):
            taskset_suite(taskset=dataset(), number=1)
        data = dataset()
        noisy = taskset(transform(data, keep=5, mark=True), data=data)
        with pytest.raises(InputError, match=r"expected clean samples.*NoisyLabelsTransform"):
            taskset_suite(taskset=noisy, number=1)

    @pytest.mark.bad_input
    def test_labels_that_were_not_remapped_are_refused(self) -> None:
        (spec,) = taskset_suite(taskset=taskset(remap=False), number=1, task=self.made)
        with pytest.raises(
            InputError, match=r"task-0: expected labels 0..3 of 4 ways, got .*Remap"
        ):
            spec.task(seed=0, device="cpu")
