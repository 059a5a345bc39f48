"""Comparisons of methods on several tasks."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import pytest
from torch import nn

from metaloss.checks import InputError
from metaloss.experiments import (
    Adjusted,
    Comparison,
    Conventional,
    Experiment,
    RunFolder,
    RunSettings,
    TaskSpec,
)
from metaloss.experiments.preflight import dry_run
from metaloss.losses import GCE, CrossEntropy
from metaloss.training import Observer, Recipe, RunInfo
from tests.helpers.tasks import blobs


def network() -> nn.Module:
    return nn.Linear(5, 3)


def comparison(**changes) -> Comparison:
    return Comparison(
        **{
            "tasks": [
                TaskSpec(name="large", task=partial(blobs, samples=90)),
                TaskSpec(name="small", task=partial(blobs, samples=30)),
            ],
            "methods": [
                Conventional(name="CE", loss=CrossEntropy()),
                Adjusted(name="A-GCE", loss=GCE()),
            ],
            "recipe": Recipe(epochs=2),
            "model": network,
            "settings": RunSettings(seeds=(0, 1), device="cpu"),
            **changes,
        }
    )


def test_a_task_may_have_a_recipe_of_its_own() -> None:
    own = Recipe(epochs=2, meta_every=5)
    first, second = comparison().tasks
    experiments = comparison(tasks=[replace(first, recipe=own), second]).experiments()
    assert experiments[first.name].recipe is own
    assert experiments[second.name].recipe == Recipe(epochs=2)


@pytest.mark.exhaustive
def test_each_task_is_an_experiment_of_its_own(tmp_path) -> None:
    ours = comparison()
    rows = ours.run(RunFolder(tmp_path / "run"), None, {"config.gin": "x"})
    for spec in ours.tasks:
        alone = Experiment(
            task=spec.task,
            model=network,
            methods=ours.methods,
            recipe=ours.recipe,
            settings=RunSettings(seeds=(0, 1), device="cpu"),
        ).run(RunFolder(tmp_path / f"alone-{spec.name}"))
        for row, expected in zip(rows, alone, strict=True):
            said = {"method": row["method"], "metric": "accuracy"}
            assert {**said, **row["tasks"][spec.name]} == expected
    assert (tmp_path / "run" / "config.gin").read_text() == "x"
    saved = json.loads((tmp_path / "run" / "results.json").read_text())
    assert saved["rows"] == rows
    for row in rows:
        mean = sum(own["accuracy_mean"] for own in row["tasks"].values()) / 2
        assert row["accuracy_mean"] == pytest.approx(mean)


def test_first_steps_are_tried_once(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    take_first_steps = dry_run.take_first_steps

    def counted(task, *rest, **options) -> None:
        tried.append(task.name)
        take_first_steps(task, *rest, **options)

    monkeypatch.setattr(dry_run, "take_first_steps", counted)
    ours = comparison(settings=RunSettings(device="cpu"))
    ours.run(RunFolder(tmp_path / "run"))
    assert len(tried) == len(ours.tasks) * len(ours.methods)


def test_an_observer_sees_one_whole(tmp_path) -> None:
    begun: list[RunInfo] = []
    ended: list[str] = []

    class Listen(Observer):
        def begin(self, info: RunInfo) -> None:
            begun.append(info)

        def end(self, record) -> None:
            ended.append(record["method"])

    comparison().run(RunFolder(tmp_path / "run"), Listen())
    assert [info.number for info in begun] == list(range(1, 9))
    assert {info.runs for info in begun} == {8}
    assert begun[0].method == ended[0] == "large, CE"
    assert begun[-1].method == ended[-1] == "small, A-GCE"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": []}, "tasks: expected one or more"),
        (
            {"tasks": [TaskSpec(name="a b", task=blobs), TaskSpec(name="a-b", task=blobs)]},
            "expected names of different folders, got 'a b' and 'a-b'",
        ),
        (
            {"tasks": [TaskSpec(name="x", task=blobs, recipe=Recipe(epochs=3))]},
            "tasks: expected 2 epochs for each, got 3 in the recipe of x",
        ),
        ({"model": None}, "expected a network for every task, got none for large"),
        ({"methods": []}, "methods: expected one or more"),
    ],
)
def test_bad_settings(changes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        comparison(**changes)


def test_every_task_is_tried_before_anything_is_written(tmp_path) -> None:
    bad = TaskSpec(name="bad", task=blobs, model=lambda: nn.Linear(4, 3))
    with pytest.raises(InputError, match="model: expected one that takes inputs"):
        comparison(tasks=[*comparison().tasks, bad]).run(RunFolder(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
