"""The warning where noisy meta samples have more noise than Theorem 2 allows."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from metaloss.bilevel import Lookahead
from metaloss.experiments import (
    Adjusted,
    Conventional,
    Experiment,
    MetaTraining,
    RunFolder,
    RunSettings,
    TaskSpec,
)
from metaloss.experiments.warnings.noise_limit import too_noisy
from metaloss.losses import GCE, CrossEntropy
from metaloss.meta_losses import MAE
from metaloss.tasks import Source, classification_task, diabetes, digits, noise, regression_task
from metaloss.tasks.corruption import shifted
from metaloss.theory import lost_classes
from metaloss.training import Recipe
from tests.experiments.runs import Remarks

METHODS = (Adjusted(name="A", loss=GCE()), Conventional(name="CE", loss=CrossEntropy()))
SHARED = {"meta_from": "shared", "num_meta": None}


def task(noise: Any, **changes: Any) -> Any:
    sizes = {"num_test": 360, "subset": 600, "num_meta": 100}
    return classification_task(**{"data": digits, "noise": noise, **sizes, **changes})


def symmetric(rate: float) -> Any:
    return partial(noise.symmetric, rate=rate)


SWAPPED = torch.eye(10, dtype=torch.float64)
SWAPPED[3, 3], SWAPPED[3, 8] = 0.4, 0.6
SWAPPED[5, 5], SWAPPED[5, 6] = 0.45, 0.55


def test_the_condition_by_hand() -> None:
    for seed in range(20):
        draw = torch.Generator().manual_seed(seed)
        matrix = torch.rand(4, 4, dtype=torch.float64, generator=draw) + torch.eye(4) / 2
        matrix /= matrix.sum(1, keepdim=True)
        expected = [
            i for i in range(4) if any(matrix[i, j] >= matrix[i, i] for j in range(4) if j != i)
        ]
        found = lost_classes(matrix)
        assert sorted(lost.label for lost in found) == expected
        gaps = [lost.flipped - lost.kept for lost in found]
        assert gaps == sorted(gaps, reverse=True)
        for lost in found:
            assert lost.kept == matrix[lost.label, lost.label]
            assert lost.flipped == max(
                p for j, p in enumerate(matrix[lost.label]) if j != lost.label
            )


@pytest.mark.parametrize(
    ("rate", "beyond"), [(0.4, False), (0.89, False), (0.9, True), (1.0, True)]
)
def test_symmetric_noise_is_tolerated_below_1_minus_1_over_c(rate: float, beyond: bool) -> None:
    assert bool(too_noisy(task(symmetric(rate), **SHARED), METHODS)) is beyond


def test_the_line_names_the_class_and_both_probabilities() -> None:
    swapped = partial(noise.from_matrix, matrix=SWAPPED)
    for meta_from in ("shared", "noisy"):
        (line,) = too_noisy(task(swapped, meta_from=meta_from), METHODS)
        assert line.startswith("A: expected meta samples whose classes keep their own labels")
        assert "a true '3' is labelled so with probability 0.4 and as '8' with 0.6 (and one" in line
        assert "one more class is like it)" in line
        assert "learn to trust the wrong label" in line


def test_checked_labels_and_methods_that_do_not_learn_need_no_warning() -> None:
    assert too_noisy(task(symmetric(0.95)), METHODS) == []
    assert too_noisy(task(symmetric(0.95), **SHARED), METHODS[1:]) == []
    assert too_noisy(task(None, **SHARED), METHODS) == []


def test_noise_that_the_meta_samples_do_not_have_is_no_matter() -> None:
    source = digits()
    unchecked = Source(train=source.train, labels_checked=False)
    assert too_noisy(task(symmetric(0.95), data=unchecked), METHODS) == []
    assert len(too_noisy(task(symmetric(0.95), data=unchecked, **SHARED), METHODS)) == 1


def test_values_have_no_classes_to_lose() -> None:
    corrupted = partial(shifted, rate=0.9)
    values = regression_task(data=diabetes, noise=corrupted, num_test=100, **SHARED)
    assert too_noisy(values, METHODS) == []


def network() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


RECIPE = Recipe(epochs=1, meta_every=1, lookahead=Lookahead(meta_loss=MAE()))
SETTINGS = RunSettings(last=1, device="cpu")


def made(rate: float = 0.95, **context: Any) -> Any:
    return task(symmetric(rate), **SHARED, **context)


def test_an_experiment_says_so_before_it_begins() -> None:
    listen = Remarks()
    ours = Experiment(task=made, model=network, methods=METHODS, recipe=RECIPE, settings=SETTINGS)
    ours.check(first_steps=False, observer=listen)
    assert sum("Theorem 2" in line for line in listen.heard) == 1


def test_meta_training_says_so_before_it_begins(tmp_path) -> None:
    listen = Remarks()
    specs = [TaskSpec(name=f"at-{rate}", task=partial(made, rate)) for rate in (0.4, 0.95)]
    ours = MetaTraining(
        tasks=specs, methods=METHODS[:1], recipe=RECIPE, model=network, settings=SETTINGS
    )
    ours.run(RunFolder(tmp_path / "run"), listen)
    (place,) = (k for k, line in enumerate(listen.heard) if "Theorem 2" in line)
    assert listen.heard[place].startswith("at-0.95: A: expected meta samples")
    assert place < listen.heard.index("begin")
