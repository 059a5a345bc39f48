"""Meta-training: what it writes, how it resumes, what it holds out, and what it refuses."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

import metaloss
from metaloss import Adjuster
from metaloss.bilevel import Lookahead
from metaloss.checks import InputError
from metaloss.experiments import (
    Adjusted,
    Conventional,
    MetaTraining,
    RunFolder,
    RunSettings,
    TaskSpec,
)
from metaloss.losses import GCE, JS, SL
from metaloss.models import SmallCNN
from metaloss.tasks import classification_task, digits, noise, noise_grid
from metaloss.training import Observer, Recipe, TaskSampler
from tests.helpers.tasks import blobs


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))


def larger() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 3))


def some(name: str, *, seed: int, device, samples: int = 60, meta: bool = True):
    task = blobs(seed, device, samples=samples, meta=meta)
    task.name = name
    return task


SPECS = (
    TaskSpec(name="first", task=partial(some, "first")),
    TaskSpec(name="second", task=partial(some, "second", samples=40), model=larger),
)
HELD_OUT = (
    TaskSpec(name="third", task=partial(some, "third", meta=False)),
    TaskSpec(name="fourth", task=partial(some, "fourth", samples=80, meta=False), model=larger),
)
METHODS = (Adjusted(name="A-GCE", loss=GCE()), Adjusted(name="A-JS", loss=JS()))


def training(**changes) -> MetaTraining:
    return MetaTraining(
        **{
            "tasks": SPECS,
            "methods": METHODS,
            "recipe": Recipe(epochs=3, meta_every=2),
            "model": network,
            "settings": RunSettings(last=2, device="cpu"),
            **changes,
        }
    )


class Stop(Observer):
    def __init__(self, after: int) -> None:
        self.left = after

    def step(self, step: int) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_what_is_learned_can_be_loaded(tmp_path) -> None:
    assert training().run(RunFolder(tmp_path / "run")) == []
    for name, loss in (("A-GCE", GCE()), ("A-JS", JS())):
        run = tmp_path / "run" / name / "seed-0"
        criterion = metaloss.from_pretrained(run / "adjuster")
        assert criterion.loss == loss
        assert criterion.adjuster.until == (1 / 3, 2 / 3, 1.0)
        result = json.loads((run / "result.json").read_text())
        assert set(result["tasks"]) == {"first", "second"}
        assert result["meta_steps"] == 3 * 3 + 3 * 2
        small, large = 5 * 8 + 8 + 8 * 3 + 3, 5 * 16 + 16 + 16 * 3 + 3
        networks = f"Sequential, {small} parameters; Sequential, {large} parameters"
        assert result["network"] == networks
        assert not (run / "checkpoint.pt").exists()
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        assert [line["epoch"] for line in lines if line["task"] == "first"] == [1, 2, 3]
    learned = metaloss.from_pretrained(tmp_path / "run/A-GCE/seed-0/adjuster").adjuster.adjusters
    early, _, late = (a.state_dict() for a in learned)
    assert not torch.equal(early["net.0.weight"], late["net.0.weight"])


def test_it_goes_on_where_it_was_stopped(tmp_path) -> None:
    training(held_out=HELD_OUT).run(RunFolder(tmp_path / "whole"))
    place = RunFolder(tmp_path / "parts")
    for after in (20, 25, 30):
        with pytest.raises(KeyboardInterrupt):
            training(held_out=HELD_OUT).run(place, Stop(after))
        place = RunFolder(tmp_path / "parts", resume=True)
    training(held_out=HELD_OUT).run(place)
    for file in (
        "A-GCE/seed-0/adjuster/adjuster.safetensors",
        "A-JS/seed-0/adjuster/adjuster.safetensors",
    ):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "parts" / file).read_bytes()
    tables = [
        json.loads((tmp_path / p / "held-out" / "results.json").read_text())
        for p in ("whole", "parts")
    ]
    assert tables[0]["rows"] == tables[1]["rows"]


def test_the_held_out_report(tmp_path) -> None:
    rows = training(held_out=HELD_OUT, held_out_seeds=(0, 1), held_out_recipe=Recipe(epochs=2)).run(
        RunFolder(tmp_path / "run")
    )
    assert [row["method"] for row in rows] == [
        "CE",
        "GCE",
        "JS",
        "transferred A-GCE",
        "transferred A-JS",
    ]
    for row in rows:
        assert list(row["tasks"]) == ["third", "fourth"]
        means = [own["accuracy_mean"] for own in row["tasks"].values()]
        assert row["accuracy_mean"] == pytest.approx(sum(means) / 2)
        assert all(own["seeds"] == [0, 1] for own in row["tasks"].values())
    held_out = tmp_path / "run" / "held-out"
    assert json.loads((held_out / "results.json").read_text())["rows"] == rows
    metrics = (held_out / "third" / "transferred-A-GCE" / "seed-1" / "metrics.jsonl").read_text()
    epochs = [json.loads(line) for line in metrics.splitlines()]
    assert len(epochs) == 2
    assert {e["meta_step"] for e in epochs} == {0}
    means = (held_out / "third" / "results.json").read_text()
    mean = json.loads(means)["rows"][3]["accuracy_mean"]
    assert mean == pytest.approx(rows[3]["tasks"]["third"]["accuracy_mean"])


def test_what_is_held_out_may_be_another_data_set(tmp_path) -> None:
    elsewhere = noise_grid(
        task=partial(classification_task, data=digits, subset=200, num_meta=0, num_test=100),
        noises={"symmetric": noise.symmetric},
        rates=(0.5,),
        prefix="digits-",
        model=partial(SmallCNN, in_channels=1, num_classes=10),
    )
    rows = training(held_out=(HELD_OUT[0], *elsewhere)).run(RunFolder(tmp_path / "run"))
    assert [list(row["tasks"]) for row in rows] == [["third", "digits-symmetric-0.5"]] * len(rows)
    card = json.loads((tmp_path / "run/A-JS/seed-0/adjuster/card.json").read_text())
    assert set(card["about"]["held_out"]["transferred A-JS"]) == {"third", "digits-symmetric-0.5"}


def test_a_task_may_have_a_recipe_of_its_own() -> None:
    """Its network's training follows it; the adjuster's does not, whichever task comes first."""
    own = Recipe(
        epochs=3,
        optimizer=partial(torch.optim.SGD, lr=0.25),
        meta_every=5,
        meta_optimizer=partial(torch.optim.Adam, lr=0.5),
        lookahead=Lookahead(hold_norm=1.0),
        snapshots=(0.5, 1.0),
    )
    tasks = (replace(SPECS[0], recipe=own), SPECS[1])
    ours = training(tasks=tasks, methods=METHODS[:1])
    made = {spec.name: spec.task(seed=0, device="cpu") for spec in tasks}
    trainings = ours.start(METHODS[0], made, 0)
    first, second = trainings.trainings.values()
    assert first.state.optimizer.param_groups[0]["lr"] == 0.25
    assert second.state.optimizer.param_groups[0]["lr"] == 0.1
    assert trainings.meta_learner.optimizer.param_groups[0]["lr"] == 1e-3
    trainings.run()
    # Every fifth of the first's steps, every other of the second's.
    steps = [math.ceil(one.total / every) for one, every in ((first, 5), (second, 2))]
    assert trainings.meta_learner.steps == sum(steps)
    assert [fraction for fraction, _ in trainings.meta_learner.snapshots] == [1 / 3, 2 / 3, 1.0]


def test_each_task_has_a_network_and_a_memory_of_its_own() -> None:
    made = training()
    tasks = {spec.name: spec.task(seed=0, device="cpu") for spec in SPECS}
    trainings = made.start(METHODS[0], tasks, 0).trainings
    first, second = (each.state for each in trainings.values())
    assert first.criterion.adjuster is second.criterion.adjuster
    assert first.criterion.conditioner is not second.criterion.conditioner
    assert (first.model[0].out_features, second.model[0].out_features) == (8, 16)
    same = training(tasks=(SPECS[0], TaskSpec(name="again", task=SPECS[0].task)))
    tasks["again"] = tasks["first"]
    one, other = (c.state.model for c in same.start(METHODS[0], tasks, 0).trainings.values())
    assert not torch.equal(one[0].weight, other[0].weight)


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
    ],
)
def test_bad_settings(changes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        training(**changes)


def test_a_missing_clean_set_is_told_before_anything_is_written(tmp_path) -> None:
    spec = TaskSpec(name="none", task=partial(some, "none", meta=False))
    with pytest.raises(InputError, match="none: A-GCE: expected a task with clean samples"):
        training(tasks=(*SPECS, spec)).run(RunFolder(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_held_out_task_that_does_not_fit_is_told_before_hours_have_passed(tmp_path) -> None:
    bad = TaskSpec(name="bad", task=partial(some, "bad"), model=lambda: nn.Linear(4, 3))
    with pytest.raises(InputError, match="bad: model: expected one that takes inputs"):
        training(held_out=(*HELD_OUT, bad)).run(RunFolder(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_one_task_will_do(tmp_path) -> None:
    training(tasks=SPECS[:1], methods=METHODS[:1]).run(RunFolder(tmp_path / "run"))
    result = json.loads((tmp_path / "run/A-GCE/seed-0/result.json").read_text())
    assert set(result["tasks"]) == {"first"}


def test_a_report_that_cannot_be_made_is_told_at_once() -> None:
    seldom = Recipe(epochs=3, evaluate_last=1)
    assert training(recipe=seldom).held_out == ()
    with pytest.raises(InputError, match="last: expected at most the recipe's 1 epochs"):
        training(recipe=seldom, held_out=HELD_OUT)
    training(recipe=seldom, held_out=HELD_OUT, held_out_recipe=Recipe(epochs=2))


def test_two_losses_of_one_kind_have_rows_of_their_own(tmp_path) -> None:
    methods = [Adjusted(name=f"A{a}", loss=SL(A=a)) for a in (-4.0, -6.0)]
    rows = training(methods=methods, held_out=HELD_OUT[:1], recipe=Recipe(epochs=1)).run(
        RunFolder(tmp_path / "run")
    )
    assert [row["method"] for row in rows] == [
        "CE",
        "SL(A=-4.0)",
        "SL(A=-6.0)",
        "transferred A-4.0",
        "transferred A-6.0",
    ]
    card = json.loads((tmp_path / "run/A-4.0/seed-0/adjuster/card.json").read_text())
    assert list(card["about"]["held_out"]) == ["CE", "SL(A=-4.0)", "transferred A-4.0"]


def test_what_is_saved_may_be_nearer_to_the_defaults(tmp_path) -> None:
    def saved(name: str, **settings) -> metaloss.AdjustedLoss:
        training(methods=METHODS[:1], recipe=Recipe(epochs=1), **settings).run(
            RunFolder(tmp_path / name)
        )
        return metaloss.from_pretrained(tmp_path / name / "A-GCE/seed-0/adjuster")

    outputs, targets = 3 * torch.randn(20, 3), torch.arange(20) % 3
    whole, half = saved("whole"), saved("half", strengths={"A-GCE": 0.5})
    torch.testing.assert_close(
        half.hparams(outputs, targets), 0.7 + 0.5 * (whole.hparams(outputs, targets) - 0.7)
    )
    card = json.loads((tmp_path / "half/A-GCE/seed-0/adjuster/card.json").read_text())
    assert card["about"]["strength"] == 0.5


class Own(Adjuster):
    """An adjuster of one's own."""


def test_an_adjuster_made_by_a_partial_is_known_when_it_is_tried(tmp_path) -> None:
    method = Adjusted(name="A", loss=GCE(), adjuster=partial(Own, hidden=5))
    assert Own in method.components
    before = torch.get_rng_state()
    _ = method.components
    assert torch.equal(torch.get_rng_state(), before)
    rows = training(methods=[method], held_out=HELD_OUT[:1], recipe=Recipe(epochs=1)).run(
        RunFolder(tmp_path / "run")
    )
    assert [row["method"] for row in rows] == ["CE", "GCE", "transferred A"]


def test_each_seed_has_turns_of_its_own() -> None:
    def turns(seed: int) -> list[tuple[str, ...]]:
        some_training = training(sampler=TaskSampler(order="shuffled"))
        tasks = {spec.name: spec.task(seed=seed, device="cpu") for spec in SPECS}
        together = some_training.start(METHODS[0], tasks, seed)
        return list(together.sampler.turns(dict.fromkeys(tasks, 20)))

    assert turns(0) == turns(0)
    assert turns(0) != turns(1)
