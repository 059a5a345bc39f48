"""Experiments that are refused before anything is written."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import MultiStepLR

from metaloss.checks import InputError
from metaloss.experiments import (
    Conventional,
    RunFolder,
    RunSettings,
)
from metaloss.losses import CrossEntropy
from metaloss.training import Recipe
from tests.experiments.runs import experiment
from tests.helpers.tasks import blobs

CE = Conventional(name="CE", loss=CrossEntropy())


class Nothing:
    """A loader without a batch."""

    num_samples = 60

    def __len__(self) -> int:
        return 0

    def epoch(self, _number: int):
        return iter(())


NOTHING = Nothing()


def changed(seed: int, device, **parts):
    """Blobs with some parts replaced."""
    return replace(blobs(seed, device), **parts)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": ()}, "methods: expected one or more, got none"),
        ({"methods": (CE, CE)}, "methods: expected different names"),
    ],
)
def test_bad_settings(changes, message) -> None:
    with pytest.raises(InputError, match=message):
        experiment(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": partial(nn.Linear, 5, 4)}, r"model: expected outputs \[batch, 3\].*got"),
        ({"model": partial(nn.Linear, 6, 3)}, r"model: expected one that takes .*\[10, 5\]"),
        ({"task": partial(blobs, meta=False)}, "expected samples to meta-train"),
        ({"task": partial(changed, train=NOTHING)}, "blobs: train: expected one batch or more"),
        ({"task": partial(changed, meta=NOTHING)}, "blobs: meta: expected one batch or more"),
        ({"task": partial(changed, test=NOTHING)}, "blobs: test: expected one batch or more"),
        (
            {"task": partial(changed, validation=NOTHING)},
            "blobs: validation: expected one batch or more",
        ),
        (
            {"task": partial(changed, train_targets=torch.zeros(3))},
            "blobs: expected a target for each of 60 training samples, got 3",
        ),
        (
            {"recipe": Recipe(epochs=1, optimizer=partial(torch.optim.SGD, lr="fast"))},
            "optimizer: expected arguments that torch takes",
        ),
        (
            {"recipe": Recipe(epochs=1, schedule=partial(MultiStepLR, milestones=3))},
            "schedule: expected arguments that torch takes",
        ),
        (
            {"settings": RunSettings(device="gpu")},
            "device: expected one that torch has here, got 'gpu'",
        ),
    ],
)
def test_what_the_data_shows_before_anything_is_written(tmp_path, changes, message) -> None:
    with pytest.raises(InputError, match=message):
        experiment(**changes).run(RunFolder(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.bad_input
def test_a_model_that_gives_nan(tmp_path) -> None:
    def broken() -> nn.Module:
        net = nn.Linear(5, 3)
        nn.init.constant_(net.bias, float("nan"))
        return net

    with pytest.raises(InputError, match="outputs: expected finite values"):
        experiment(model=broken).run(RunFolder(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_folders(tmp_path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    (tmp_path / "empty").mkdir()
    RunFolder(tmp_path / "empty")
    with pytest.raises(InputError, match="expected a new or an empty folder"):
        RunFolder(tmp_path / "full")
    with pytest.raises(InputError, match="expected the folder of a run to resume"):
        RunFolder(tmp_path / "full", resume=True)
    with pytest.raises(InputError, match="got a file"):
        RunFolder(tmp_path / "full" / "x")
