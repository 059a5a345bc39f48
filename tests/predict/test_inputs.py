"""Inputs that are not images, those that cannot be described, and those of a large data set."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from metaloss.checks import InputError
from metaloss.experiments import Conventional, Experiment, RunFolder
from metaloss.inputs import Inputs
from metaloss.labels import read_run
from metaloss.losses import CrossEntropy
from metaloss.predict import predict_run, read_network
from metaloss.predict.data import Images
from metaloss.predict.predictions import predicted
from metaloss.tasks import ImageSet, Source, classification_task, image_files
from metaloss.training import Recipe
from metaloss.types import inputs_of
from tests.helpers.tasks import blobs
from tests.predict.runs import Runs, refusal, train, write_images
from tests.predict.runs import predicted as rows_of

OWN = """
from __future__ import annotations
import torch
from metaloss.tasks import ImageSet, Source


def two_moons() -> Source:
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(40, 64, generator=draw, dtype=torch.float32)
    labels = (inputs[:, 0] > 0).long()
    return Source(ImageSet(inputs, labels, ("left", "right"), "sides"), labels_checked=True)
"""
GIN = """
from __gin__ import dynamic_registration
from metaloss import experiments
from metaloss import tasks
import own_sides
include 'models/mlp.gin'
include 'runs/sgd.gin'
include 'losses/ce.gin'
NUM_CLASSES = 2
IN_FEATURES = 64
EPOCHS = 1
experiments.Experiment.task = @tasks.classification_task
experiments.Experiment.methods = [@ce/experiments.Conventional()]
tasks.classification_task.data = @own_sides.two_moons
tasks.classification_task.num_meta = 0
tasks.classification_task.num_test = 10
tasks.classification_task.batch_size = 10
"""


@pytest.fixture(scope="session")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on features of a module of one's own."""
    place = tmp_path_factory.mktemp("features")
    (place / "own_sides.py").write_text(OWN)
    return train(place / "run", GIN)


def test_features(features: Path, runs: Runs) -> None:
    network = read_network(features)
    assert network.inputs == Inputs(
        kind="features", class_names=("left", "right"), sample_shape=(64,), dtype="float32"
    )
    values = np.random.default_rng(0).normal(size=(7, 64))
    found = predict_run(features, values, batch_size=3)
    with torch.no_grad():
        expected = network.model(torch.tensor(values, dtype=torch.float32)).double().softmax(1)
    torch.testing.assert_close(found.probabilities, expected, rtol=1e-5, atol=1e-6)
    values[4, 2] = np.nan
    found = predict_run(features, values, batch_size=3)
    assert found.ids == (0, 1, 2, 3, 5, 6)
    assert found.skipped == ((4, "data, sample 4: expected finite numbers, got NaN or infinity"),)
    line = refusal(features, runs.images / "test")
    assert "expected arrays in a file .npy or .npz" in line and "[64]" in line


def test_a_module_of_ones_own_is_looked_for(
    features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 64)))
    assert [row["id"] for row in rows_of(features, tmp_path / "a.npy")] == ["0", "1"]
    monkeypatch.delitem(sys.modules, "own_sides")
    line = refusal(features, tmp_path / "a.npy")
    assert "No module named 'own_sides'" in line and line.endswith(f"copy it into {features}")
    with pytest.raises(InputError) as error:  # metaloss labels
        read_run(features)
    assert str(error.value) == line


def test_a_transform_of_ones_own(tmp_path: Path) -> None:
    write_images(tmp_path / "data")

    def plain(image: Any) -> Tensor:
        return torch.zeros(3, 4, 4)

    source = partial(image_files, tmp_path / "data", size=4, eval_transform=plain)
    task = classification_task(data=source, num_meta=0, batch_size=4)
    assert task.inputs is not None and task.inputs.kind == "unknown"
    assert "a transform of your own (eval_transform)" in str(task.inputs.reason)


def test_a_task_that_does_not_say(tmp_path: Path, runs: Runs) -> None:
    inputs = inputs_of(blobs())
    assert inputs is not None and inputs.class_names == ("0", "1", "2")
    made = Experiment(
        task=blobs,
        model=lambda: nn.Linear(5, 3),
        methods=[Conventional(name="CE", loss=CrossEntropy())],
        recipe=Recipe(epochs=1),
    )
    made.run(RunFolder(tmp_path / "run"))
    (tmp_path / "run" / "config.gin").write_text((runs.one / "config.gin").read_text())
    line = refusal(tmp_path / "run", runs.images / "test")
    assert "expected a run whose inputs can be made again, but its task is a Blobs" in line


def test_no_more_is_read_than_a_batch(runs: Runs) -> None:
    read: list[str] = []

    def reading(file: str) -> Tensor:
        read.append(file)
        return torch.zeros(3, 8, 8, dtype=torch.uint8)

    files = sorted(map(str, (runs.images / "train").glob("*/*")))
    parts = predicted(read_network(runs.one), Images("data", files, files, reading), 4)
    assert len(next(parts).ids) == 4
    assert sorted(read) == files[:4]


@pytest.mark.parametrize("channels", [1, 4])
def test_images_of_other_channels(channels: int) -> None:
    images = torch.zeros(6, channels, 2, 3, dtype=torch.uint8)
    images[0] = 255
    data = ImageSet(images, torch.arange(6) % 2, ("a", "b"), "six")
    task = classification_task(
        data=Source(data, labels_checked=True), num_meta=0, num_test=1, batch_size=2
    )
    assert task.inputs is not None
    assert task.inputs.sample_shape == (channels, 2, 3)
    assert Inputs.from_json(task.inputs.to_json()) == task.inputs
