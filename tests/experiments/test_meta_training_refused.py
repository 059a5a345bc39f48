"""Meta-training that is refused before anything is written."""

from __future__ import annotations

from functools import partial

import pytest
from torch import nn

from metaloss.checks import InputError
from metaloss.experiments import (
    Conventional,
    RunFolder,
    RunSettings,
    TaskSpec,
)
from metaloss.losses import GCE
from metaloss.training import FabricEngine, Recipe, TaskSampler
from tests.experiments.runs import HELD_OUT, METHODS, SPECS, meta_training, some


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": ()}, "tasks: expected one or more, got none"),
        (
            {"tasks": (*SPECS, SPECS[0])},
            "tasks: expected different names, got first more than once",
        ),
        ({"held_out": (HELD_OUT[0],) * 2}, "held_out: expected different names, got third"),
        ({"model": None}, "tasks: expected a network for every task, got none for first"),
        ({"methods": ()}, "methods: expected one or more"),
        ({"methods": METHODS[:1] * 2}, "methods: expected different names, got A-GCE more than"),
        (
            {"held_out": SPECS[:1]},
            "held_out: expected tasks that are not among those to learn from",
        ),
        ({"strengths": {"A": 0.5}}, "strengths: expected names of A-GCE, A-JS, got 'A'"),
        ({"strengths": {"A-JS": 2}}, r"strength: expected a number in \(0, 1\], got 2"),
        (
            {"tasks": (*SPECS, TaskSpec(name="x", task=some, recipe=Recipe(epochs=4)))},
            "tasks: expected 3 epochs for each, got 4 in the recipe of x",
        ),
        (
            {"tasks": (TaskSpec(name="x", task=some, recipe={"epochs": 3}),)},
            "tasks: expected a Recipe or none for x, got {'epochs': 3}",
        ),
        (
            {"methods": (Conventional(name="GCE", loss=GCE()),)},
            r"methods\[0\]: expected an Adjusted, got a Conventional",
        ),
        (
            {"sampler": TaskSampler(order="weighted", weights={"x": 1.0})},
            "weights: expected names of first, second, got 'x'",
        ),
        (
            {
                "sampler": TaskSampler(spread=True),
                "settings": RunSettings(engine=FabricEngine(precision="bf16-mixed")),
            },
            "spread: expected an engine of the precision 32-true, .*, got bf16-mixed",
        ),
    ],
)
def test_bad_settings(changes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        meta_training(**changes)


def test_a_missing_clean_set_is_told_before_anything_is_written(tmp_path) -> None:
    spec = TaskSpec(name="none", task=partial(some, "none", meta=False))
    with pytest.raises(InputError, match="A-GCE: task none: expected samples to meta-train"):
        meta_training(tasks=(*SPECS, spec)).run(RunFolder(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_held_out_task_that_does_not_fit_is_told_before_hours_have_passed(tmp_path) -> None:
    bad = TaskSpec(name="bad", task=partial(some, "bad"), model=lambda: nn.Linear(4, 3))
    with pytest.raises(InputError, match="bad: model: expected one that takes inputs"):
        meta_training(held_out=(*HELD_OUT, bad)).run(RunFolder(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_report_that_cannot_be_made_is_told_at_once() -> None:
    seldom = Recipe(epochs=3, evaluate_last=1)
    assert meta_training(recipe=seldom).held_out == ()
    with pytest.raises(InputError, match="last: expected at most the recipe's 1 epochs"):
        meta_training(recipe=seldom, held_out=HELD_OUT)
    meta_training(recipe=seldom, held_out=HELD_OUT, held_out_recipe=Recipe(epochs=2))
