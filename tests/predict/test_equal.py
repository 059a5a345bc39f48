"""Predictions are those of the run's own evaluation, bit for bit."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from metaloss.config import configuration
from metaloss.experiments.makers import make_task
from metaloss.labels import Choice, read_run
from metaloss.predict import predict_run, read_network
from metaloss.runner import build
from metaloss.tasks.decoding import decode
from metaloss.training.evaluate import evaluate
from tests.predict.runs import CLASSES, SIZE, Runs, predicted


@pytest.fixture
def with_data(runs: Runs) -> Iterator[Runs]:
    """The data are back for a while, for the run's own evaluation."""
    with runs.with_data():
        yield runs


def paths_of(folder: Path, part: str) -> list[str]:
    return [str(p) for name in CLASSES for p in sorted((folder / part / name).iterdir())]


def table(place: Path, paths: list[str]) -> Path:
    with place.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["path"], *([path] for path in paths)])
    return place


@pytest.mark.parametrize("seed", [3, 4])
def test_training_images_in_memory(with_data: Runs, tmp_path: Path, seed: int) -> None:
    own = read_run(with_data.one, Choice(seed=seed))
    assert own.method == "A-GCE"
    files = paths_of(with_data.images, "train")
    by_pixels = {decode([f], 3, SIZE, 1).numpy().tobytes(): f for f in files}
    loader = own.task.train.in_order()  # type: ignore[attr-defined]
    ordered = [by_pixels[image.numpy().tobytes()] for image in loader.inputs]
    assert len(set(ordered)) == len(own.index) == 30
    found = predict_run(with_data.one, table(tmp_path / "a.csv", ordered), seed=seed, batch_size=9)
    assert found.ids == tuple(ordered)
    assert torch.equal(found.probabilities, own.probabilities)
    assert torch.equal(found.labels, own.probabilities.argmax(dim=1))
    assert found.class_names == CLASSES


def test_training_images_in_files(with_data: Runs, tmp_path: Path) -> None:
    own = read_run(with_data.files)
    assert own.paths is not None
    found = predict_run(with_data.files, table(tmp_path / "a.csv", list(own.paths)), batch_size=9)
    assert torch.equal(found.probabilities, own.probabilities)


@pytest.mark.parametrize("kind", ["one", "files"])
def test_test_accuracy(with_data: Runs, kind: str) -> None:
    place = getattr(with_data, kind)
    rows = predicted(place, with_data.images / "test", "--method", "CE")
    right = sum(row["label"] == Path(row["path"]).parent.name for row in rows)
    with configuration([place / "config.gin"]) as parsed:
        experiment = build(parsed)
        seed = experiment.settings.seeds[0]
        task = make_task(experiment.task, seed, torch.device("cpu"))
    network = read_network(place, Choice("CE", seed))
    assert 100 * right / len(rows) == pytest.approx(evaluate(network.model, task.test).score)


def test_the_mean_is_that_of_the_seed(runs: Runs) -> None:
    means = {read_network(runs.one, Choice(seed=seed)).inputs.mean for seed in (3, 4)}
    assert len(means) == 2


def test_the_global_random_numbers_stay(runs: Runs) -> None:
    before = torch.get_rng_state()
    predict_run(runs.one, runs.images / "test")
    assert torch.equal(torch.get_rng_state(), before)
