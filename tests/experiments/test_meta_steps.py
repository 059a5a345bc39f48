"""The warning before runs that make too few meta steps."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch

from metaloss.bilevel import Lookahead
from metaloss.experiments import (
    Adjusted,
    Comparison,
    Conventional,
    RunFolder,
    RunSettings,
    TaskSpec,
)
from metaloss.experiments.trainer import Trainer
from metaloss.experiments.warnings.meta_steps import fewest, meta_steps, too_few
from metaloss.losses import GCE, JS, CrossEntropy
from metaloss.training import Recipe, TaskSampler
from tests.experiments.runs import Remarks, experiment, meta_training, network
from tests.helpers.tasks import blobs

METHODS = (Adjusted(name="A", loss=GCE()), Adjusted(name="B", loss=JS()))
ENOUGH = Recipe(epochs=20, meta_every=1)  # 6 steps an epoch


def told(methods: Any = METHODS, **changes: Any) -> str:
    recipe = Recipe(**{"epochs": 16, "meta_every": 10, **changes})
    return "".join(too_few(methods, {"t": recipe}, {"t": 20}))


@pytest.mark.parametrize("update", ["before", "after"])
@pytest.mark.parametrize(
    "changes",
    [{}, {"warmup_epochs": 1}, {"meta_every": 4}, {"lookahead": Lookahead(steps=2)}],
)
def test_as_many_as_are_announced_are_made(update: str, changes: dict[str, Any]) -> None:
    recipe = Recipe(**{"epochs": 3, "meta_every": 5, "meta_update": update, **changes})
    ours = experiment(recipe=recipe)
    task = blobs()
    trainer = Trainer(ours.model, recipe, ours.settings)
    (training,) = (trainings := trainer._start(ours.methods[0], task, 0)).trainings.values()
    trainings.run()
    lost = recipe.epochs if update == "after" and recipe.lookahead.steps > 1 else 0
    announced = meta_steps(recipe, len(task.train))
    assert announced - lost <= training.state.meta_step <= announced


def test_the_line_says_what_makes_the_number_and_what_makes_it_larger() -> None:
    assert told() == (
        "A, B: expected 100 meta steps or more, got 32 (16 epochs of 20 steps, and a meta step "
        "every 10): from so few an adjuster learns little, perhaps the wrong way round; set "
        "meta_every=3 of the recipe (gin: META_EVERY; metaloss fit: --meta-every)"
    )
    assert "got 28 (16 epochs of 20 steps, 2 of them warm-up, and" in told(warmup_epochs=2)


@pytest.mark.parametrize(
    "changes", [{}, {"epochs": 4}, {"epochs": 1, "meta_every": 1}, {"warmup_epochs": 15}]
)
def test_the_advice_suffices_and_no_less_does(changes: dict[str, Any]) -> None:
    said = told(**changes).split("; set ")[1]
    advice = {key: int(n) for key, n in (w.split("=") for w in said.split() if "=" in w)}
    assert told(**{**changes, **advice}) == ""
    less = {"meta_every": advice["meta_every"] + 1} if "epochs" not in advice else {}
    less |= {"epochs": advice["epochs"] - 1} if "epochs" in advice else {}
    assert told(**{**changes, **advice, **less}) != ""


def test_nothing_is_said_where_nothing_is_learned_or_enough() -> None:
    assert told([Conventional(name="CE", loss=CrossEntropy())]) == ""
    assert told(meta_every=3) == ""
    assert told(meta_every=4) != ""


def test_slow_optimizers_need_more() -> None:
    slow = partial(torch.optim.Adam, lr=2e-4)
    assert fewest(Recipe(epochs=1)) == 100
    assert fewest(Recipe(epochs=1, meta_optimizer=slow)) == 500
    assert fewest(Recipe(epochs=1, meta_optimizer=partial(torch.optim.Adam, lr=1e-2))) == 100
    assert fewest(Recipe(epochs=1, meta_optimizer=partial(torch.optim.SGD, lr=2e-4))) == 100
    assert "expected 500 meta steps" in told(meta_optimizer=slow)
    assert "META_LR" in told(meta_optimizer=slow) and "META_LR" not in told()
    far_too_slow = told(meta_optimizer=partial(torch.optim.Adam, lr=1e-9))
    assert "META_LR" in far_too_slow and "EPOCHS" not in far_too_slow

    def own(theta: Any) -> torch.optim.Optimizer:
        first, _, _, last = theta  # an adjuster's
        return torch.optim.Adam([first, last], lr=2e-4)

    assert fewest(Recipe(epochs=1, meta_optimizer=own)) == 100


def test_an_experiment_says_so_once_before_it_begins(tmp_path) -> None:
    listen = Remarks(", seed 0: ", ", seed 1: ")
    few = experiment(methods=METHODS, settings=RunSettings(seeds=(0, 1), device="cpu"))
    few.run(RunFolder(tmp_path / "few"), listen)
    first, *rest = listen.heard
    assert first.startswith("A, B: expected 100 meta steps or more, got 3 (4 epochs of 6 steps")
    assert rest == ["begin"] * 4
    listen = Remarks(", seed 0: ", ", seed 1: ")
    experiment(recipe=ENOUGH).check(observer=listen)
    assert listen.heard == []


def test_a_comparison_says_so_once_for_all_tasks(tmp_path) -> None:
    sizes = {"large": 80, "small": 60, "same": 60}
    tasks = [TaskSpec(name=n, task=partial(blobs, samples=size)) for n, size in sizes.items()]
    recipe = Recipe(epochs=1, meta_every=1)
    ours = Comparison(tasks=tasks, methods=METHODS, recipe=recipe, model=network)
    listen = Remarks(", seed 0: ", ", seed 1: ")
    ours.run(RunFolder(tmp_path / "run"), listen)
    large, small, *rest = listen.heard
    assert large.startswith("large: A, B: expected 100 meta steps or more, got 8 ")
    assert small.startswith("small and 1 more: A, B: expected 100 meta steps or more, got 6")
    assert rest == ["begin"] * 6


def test_meta_training_counts_the_steps_on_all_tasks(tmp_path) -> None:
    listen = Remarks(", seed 0: ", ", seed 1: ")
    assert meta_training().run(RunFolder(tmp_path / "run"), listen) == []  # no held-out tasks
    first, *rest = listen.heard
    assert first.startswith("A-GCE, A-JS: expected 100 meta steps or more, got 15 (3 epochs of 10")
    assert rest == ["begin"] * 2
    together = meta_training(sampler=TaskSampler(tasks_per_step=2), recipe=replace(ENOUGH))
    tasks = {spec.name: spec.task(seed=0, device="cpu") for spec in together.tasks}
    assert together._warned(tasks, together.methods) == []
    together = replace(together, recipe=replace(ENOUGH, epochs=19))
    (line,) = together._warned(tasks, together.methods)
    assert "got 95 (19 epochs of 5 steps on 2 tasks" in line
