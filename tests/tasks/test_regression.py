"""Regression tasks."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from metaloss.checks import InputError
from metaloss.tasks import (
    NoisyValues,
    Table,
    classification_task,
    corruption,
    diabetes,
    digits,
    noise,
    noise_grid,
    regression_task,
)
from metaloss.types import TaskLike


def test_sets_are_disjoint_and_complete() -> None:
    rows = torch.arange(200.0).unsqueeze(1)
    task = regression_task(
        data=Table(rows, rows, "rows"),
        num_meta=30,
        num_validation=20,
        num_test=50,
        meta_batch_size=30,
    )
    parts = [task.train, task.meta, task.validation, task.test]
    sizes = [part.num_samples for part in parts]
    assert sizes == [100, 30, 20, 50]
    seen = torch.cat([part.inputs for part in parts])
    assert len(seen.unique()) == 200


def test_standardised_by_clean_training_samples() -> None:
    task = regression_task(data=diabetes, noise=partial(corruption.shifted, rate=0.4), num_meta=60)
    clean = task.noise.original
    torch.testing.assert_close(clean.mean(dim=0), torch.zeros(1), atol=1e-5, rtol=0)
    torch.testing.assert_close(clean.std(dim=0), torch.ones(1))
    inputs = task.train.inputs
    torch.testing.assert_close(inputs.mean(dim=0), torch.zeros(10), atol=1e-5, rtol=0)
    torch.testing.assert_close(inputs.std(dim=0), torch.ones(10))
    batch = next(iter(task.train.epoch(0)))
    assert torch.equal(batch.targets, task.train_targets[batch.index])
    assert torch.equal(task.flipped, (task.train_targets != clean)[:, 0])


def test_a_task_without_classes() -> None:
    task = regression_task(data=diabetes)
    assert isinstance(task, TaskLike)
    assert (task.class_names, task.num_classes) == (None, None)
    assert task.flipped is None
    assert regression_task(data=diabetes, num_meta=0).meta is None


def test_corruption_does_not_change_the_split() -> None:
    clean, noisy = (
        regression_task(data=diabetes, noise=how, seed=3)
        for how in (None, partial(corruption.replaced, rate=0.3))
    )
    assert torch.equal(clean.test.inputs, noisy.test.inputs)
    assert torch.equal(clean.train_targets, noisy.noise.original)


def test_a_constant_column_stays_finite() -> None:
    table = Table(torch.ones(90, 2), torch.arange(90.0).unsqueeze(1), "flat")
    task = regression_task(data=table, num_meta=10, num_test=10, meta_batch_size=10, batch_size=10)
    assert torch.isfinite(task.train.inputs).all()


def test_corruption_that_depends_on_the_inputs() -> None:
    def of_large_inputs(targets, generator, inputs):
        return NoisyValues(torch.where(inputs[:, :1] > 0, -targets, targets), targets)

    task = regression_task(data=diabetes, noise=of_large_inputs)
    assert torch.equal(task.flipped, task.train.inputs[:, 0] > 0)


def test_a_grid_of_corruptions() -> None:
    suite = noise_grid(
        task=partial(regression_task, data=diabetes),
        noises={"replaced": corruption.replaced, "shifted": corruption.shifted},
        rates=(0.2, 0.4),
    )
    assert [spec.name for spec in suite][:2] == ["replaced-0.2", "replaced-0.4"]
    task = suite[3].task(seed=0, device="cpu")
    assert task.name == "shifted-0.4"
    assert 0.3 < task.noise.rate < 0.5


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"noise": partial(noise.symmetric, rate=0.4)}, "a function that returns NoisyValues"),
        ({"noise": lambda targets, generator: targets}, "NoisyValues, got Tensor"),
        ({"num_meta": 400}, "expected at most the 442 samples"),
        ({"num_meta": -1}, "num_meta"),
        ({"num_test": 0}, "num_test: expected a whole number of at least 1"),
        ({"batch_size": 1000}, "1000"),
    ],
)
def test_bad_arguments(changed, message: str) -> None:
    with pytest.raises(InputError, match=message):
        regression_task(**{"data": diabetes, **changed})


@pytest.mark.bad_input
def test_corruption_is_refused_for_labels() -> None:
    noise = partial(corruption.replaced, rate=0.4)
    with pytest.raises(InputError, match="returns NoisyLabels and takes num_classes"):
        classification_task(data=digits, noise=noise, num_test=360)


def test_an_error_of_the_noise_is_raised_unchanged() -> None:
    def broken(targets, generator):
        raise TypeError("its own")

    with pytest.raises(TypeError, match="its own"):
        regression_task(data=diabetes, noise=broken)
