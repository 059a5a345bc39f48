"""Results by unchecked test labels are marked wherever they are shown."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console

from metaloss import AdjustedLoss
from metaloss.console import across_table, results_table, summary
from metaloss.diagnostics import Learned, draw_learned
from metaloss.experiments import Comparison, Conventional, Experiment, RunFolder, RunSettings
from metaloss.losses import GCE, CrossEntropy
from metaloss.models import MLP
from metaloss.tasks import (
    Table,
    classification_task,
    diabetes,
    digits,
    image_files,
    image_folder,
    noise,
    regression_task,
    relabelled,
    varied,
)
from metaloss.training import Recipe
from metaloss.types import TaskSpec, has_checked_test
from tests.helpers.tasks import blobs

UNCHECKED = replace(digits(), labels_checked=False)


def task(source=UNCHECKED, **settings):
    return partial(classification_task, data=source, num_meta=100, num_test=360, **settings)


def experiment(make, name="CE") -> Experiment:
    return Experiment(
        task=make,
        model=partial(MLP, in_features=64, out_features=10, hidden=(4,)),
        methods=[Conventional(name=name, loss=CrossEntropy())],
        recipe=Recipe(epochs=1),
        settings=RunSettings(device="cpu"),
    )


@pytest.fixture(scope="module")
def image_root(tmp_path_factory):
    """Three classes of 40 grey 8x8 images each, in ``train`` only."""
    root = tmp_path_factory.mktemp("images")
    for label in range(3):
        (root / "train" / str(label)).mkdir(parents=True)
        for number in range(40):
            pixel = 80 * label + number
            Image.new("L", (8, 8), pixel).save(root / "train" / str(label) / f"{number}.png")
    return root


def printed(table) -> str:
    console = Console(width=100)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


class TestWhichTasks:
    def test_those_that_take_test_samples_out_of_unchecked_labels(self) -> None:
        assert not task()().test_checked
        assert task(digits())().test_checked
        own = replace(UNCHECKED, test=UNCHECKED.train.subset(torch.arange(50)))
        assert partial(classification_task, data=own, num_meta=100)().test_checked

    def test_noise_made_here_does_not_check_labels(self) -> None:
        half = partial(noise.symmetric, rate=0.5)
        assert not task(noise=half)().test_checked
        assert not relabelled(task()(), half, name="half", seed=0).test_checked

    def test_varied_images_are_as_checked_as_they_were(self) -> None:
        assert varied(data=digits).labels_checked
        assert not varied(data=UNCHECKED).labels_checked

    def test_folders_are_unchecked_unless_said(self, image_root) -> None:
        for read in (image_folder, image_files):
            assert not read(image_root, size=8, test=None).labels_checked
            assert read(image_root, size=8, test=None, labels_checked=True).labels_checked

    def test_regression(self) -> None:
        table = diabetes()
        assert regression_task(data=table).test_checked
        own = Table(table.inputs, table.targets, "own")
        assert not regression_task(data=own).test_checked

    def test_a_task_of_ones_own_that_says_nothing_is_clean(self) -> None:
        assert has_checked_test(blobs())


def test_the_files_of_a_run_say_so(tmp_path) -> None:
    rows = experiment(task()).run(RunFolder(tmp_path / "run"))
    assert rows[0]["test_unchecked"] is True
    run = tmp_path / "run" / "CE" / "seed-0"
    assert json.loads((run / "result.json").read_text())["test_unchecked"] is True
    assert json.loads((run / "metrics.jsonl").read_text())["test_unchecked"] is True
    assert json.loads((tmp_path / "run" / "results.json").read_text())["rows"] == rows
    assert "by unchecked labels" in printed(results_table(rows, last=1))


def test_nothing_is_said_where_they_are_checked(tmp_path) -> None:
    rows = experiment(task(digits())).run(RunFolder(tmp_path / "run"))
    written = "".join(path.read_text() for path in (tmp_path / "run").rglob("*.json*"))
    assert "unchecked" not in written + printed(results_table(rows, last=1))


def test_a_table_of_several_tasks_marks_its_columns(tmp_path) -> None:
    one = experiment(task())
    specs = [TaskSpec(name="own", task=task()), TaskSpec(name="known", task=task(digits()))]
    comparison = Comparison(
        tasks=specs,
        methods=one.methods,
        recipe=one.recipe,
        model=one.model,
        settings=RunSettings(device="cpu"),
    )
    rows = comparison.run(RunFolder(tmp_path / "run"))
    assert rows[0]["test_unchecked"] is True
    assert [bool(own.get("test_unchecked")) for own in rows[0]["tasks"].values()] == [True, False]
    shown = printed(across_table(rows, last=1))
    assert "own (unchecked)" in shown and "known (unchecked)" not in shown
    assert "unchecked: by labels that nobody checked" in " ".join(shown.split())


def test_the_log_says_so() -> None:
    record = {"samples_per_second": 1.0, "train_loss": 1.0, "test_accuracy": 50.0}
    assert summary({**record, "test_unchecked": True}).endswith("test (unchecked) 50.00%")


def test_pictures_say_so(tmp_path, monkeypatch) -> None:
    said = []
    monkeypatch.setattr(Figure, "suptitle", lambda self, words: said.append(words))
    criterion = AdjustedLoss.fixed(GCE())
    samples = {"margin": torch.randn(50), "hparams": torch.rand(50, 1)}
    for unchecked in (False, True):
        item = Learned("GCE", criterion, samples, unchecked)
        draw_learned([item], tmp_path / "learned.png")
    assert said == ["by unchecked labels"]
