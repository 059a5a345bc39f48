"""Meta-training: the files it writes, how it resumes, and its held-out report."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

import metaloss
from metaloss import Adjuster
from metaloss.bilevel import Lookahead
from metaloss.checks import InputError
from metaloss.experiments import (
    Adjusted,
    RunFolder,
    TaskSpec,
)
from metaloss.losses import GCE, JS, SL
from metaloss.models import SmallCNN
from metaloss.tasks import classification_task, digits, noise, noise_grid
from metaloss.training import Recipe, TaskSampler
from tests.experiments.runs import HELD_OUT, METHODS, SPECS, StopAtStep, meta_training

WITH_REPORT = {
    "held_out": HELD_OUT,
    "held_out_seeds": (0, 1),
    "held_out_recipe": Recipe(epochs=1),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a meta-training with a held-out report."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    meta_training(**WITH_REPORT).run(RunFolder(folder))
    return folder


def test_what_is_learned_can_be_loaded(whole: Path) -> None:
    for name, loss in (("A-GCE", GCE()), ("A-JS", JS())):
        run = whole / name / "seed-0"
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
    learned = metaloss.from_pretrained(whole / "A-GCE/seed-0/adjuster").adjuster.adjusters
    early, _, late = (a.state_dict() for a in learned)
    assert not torch.equal(early["net.0.weight"], late["net.0.weight"])


def test_it_goes_on_where_it_was_stopped(whole: Path, tmp_path: Path) -> None:
    # One held-out task and seed of those that were not stopped.
    few = {**WITH_REPORT, "held_out": HELD_OUT[:1], "held_out_seeds": (0,)}
    place = RunFolder(tmp_path / "parts")
    for after in (20, 25, 35):  # in each of the meta-trainings, and in the report
        with pytest.raises(KeyboardInterrupt):
            meta_training(**few).run(place, StopAtStep(after))
        place = RunFolder(tmp_path / "parts", resume=True)
    rows = meta_training(**few).run(place)
    assert len(rows) == 5
    models, adjusters = (
        sorted(path.relative_to(place.path) for path in place.path.rglob(f"{name}.safetensors"))
        for name in ("model", "adjuster")
    )
    assert (len(models), len(adjusters)) == (len(rows), len(METHODS))
    for path in models + adjusters:
        assert (whole / path).read_bytes() == (place.path / path).read_bytes(), path


def test_the_held_out_report(whole: Path) -> None:
    rows = meta_training(**WITH_REPORT).run(RunFolder(whole, resume=True))  # all is done
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
    held_out = whole / "held-out"
    assert json.loads((held_out / "results.json").read_text())["rows"] == rows
    metrics = (held_out / "third" / "transferred-A-GCE" / "seed-1" / "metrics.jsonl").read_text()
    epochs = [json.loads(line) for line in metrics.splitlines()]
    assert len(epochs) == 1
    assert {e["meta_step"] for e in epochs} == {0}
    means = (held_out / "third" / "results.json").read_text()
    mean = json.loads(means)["rows"][3]["accuracy_mean"]
    assert mean == pytest.approx(rows[3]["tasks"]["third"]["accuracy_mean"])


@pytest.mark.exhaustive
def test_what_is_held_out_may_be_another_data_set(tmp_path) -> None:
    elsewhere = noise_grid(
        task=partial(classification_task, data=digits, subset=200, num_meta=0, num_test=100),
        noises={"symmetric": noise.symmetric},
        rates=(0.5,),
        prefix="digits-",
        model=partial(SmallCNN, in_channels=1, num_classes=10),
    )
    rows = meta_training(held_out=(HELD_OUT[0], *elsewhere)).run(RunFolder(tmp_path / "run"))
    assert [list(row["tasks"]) for row in rows] == [["third", "digits-symmetric-0.5"]] * len(rows)
    card = json.loads((tmp_path / "run/A-JS/seed-0/adjuster/card.json").read_text())
    assert set(card["about"]["held_out"]["transferred A-JS"]) == {"third", "digits-symmetric-0.5"}


def test_a_task_may_have_a_recipe_of_its_own() -> None:
    """The network follows its own recipe and the adjuster the run's, in either order of tasks."""
    own = Recipe(
        epochs=3,
        optimizer=partial(torch.optim.SGD, lr=0.25),
        meta_every=5,
        meta_optimizer=partial(torch.optim.Adam, lr=0.5),
        lookahead=Lookahead(hold_norm=1.0),
        snapshots=(0.5, 1.0),
    )
    tasks = (replace(SPECS[0], recipe=own), SPECS[1])
    ours = meta_training(tasks=tasks, methods=METHODS[:1])
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
    made = meta_training()
    tasks = {spec.name: spec.task(seed=0, device="cpu") for spec in SPECS}
    trainings = made.start(METHODS[0], tasks, 0).trainings
    first, second = (each.state for each in trainings.values())
    assert first.criterion.adjuster is second.criterion.adjuster
    assert first.criterion.conditioner is not second.criterion.conditioner
    assert (first.model[0].out_features, second.model[0].out_features) == (8, 16)
    same = meta_training(tasks=(SPECS[0], TaskSpec(name="again", task=SPECS[0].task)))
    tasks["again"] = tasks["first"]
    one, other = (c.state.model for c in same.start(METHODS[0], tasks, 0).trainings.values())
    assert not torch.equal(one[0].weight, other[0].weight)


def test_one_task_will_do(tmp_path) -> None:
    meta_training(tasks=SPECS[:1], methods=METHODS[:1]).run(RunFolder(tmp_path / "run"))
    result = json.loads((tmp_path / "run/A-GCE/seed-0/result.json").read_text())
    assert set(result["tasks"]) == {"first"}


@pytest.mark.exhaustive
def test_two_losses_of_one_kind_have_rows_of_their_own(tmp_path) -> None:
    methods = [Adjusted(name=f"A{a}", loss=SL(A=a)) for a in (-4.0, -6.0)]
    rows = meta_training(methods=methods, held_out=HELD_OUT[:1], recipe=Recipe(epochs=1)).run(
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
        meta_training(methods=METHODS[:1], recipe=Recipe(epochs=1), **settings).run(
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
    again = meta_training(methods=METHODS[:1], recipe=Recipe(epochs=1), strengths={"A-GCE": 0.3})
    with pytest.raises(InputError, match="another run was begun here"):
        again.run(RunFolder(tmp_path / "half", resume=True))


class Own(Adjuster):
    """An adjuster class outside the package."""


def test_an_adjuster_made_by_a_partial_is_known_when_it_is_tried(tmp_path) -> None:
    method = Adjusted(name="A", loss=GCE(), adjuster=partial(Own, hidden=5))
    assert Own in method.components
    before = torch.get_rng_state()
    _ = method.components
    assert torch.equal(torch.get_rng_state(), before)
    rows = meta_training(methods=[method], held_out=HELD_OUT[:1], recipe=Recipe(epochs=1)).run(
        RunFolder(tmp_path / "run")
    )
    assert [row["method"] for row in rows] == ["CE", "GCE", "transferred A"]


def test_each_seed_has_turns_of_its_own() -> None:
    def turns(seed: int) -> list[tuple[str, ...]]:
        some_training = meta_training(sampler=TaskSampler(order="shuffled"))
        tasks = {spec.name: spec.task(seed=seed, device="cpu") for spec in SPECS}
        together = some_training.start(METHODS[0], tasks, seed)
        return list(together.sampler.turns(dict.fromkeys(tasks, 20)))

    assert turns(0) == turns(0)
    assert turns(0) != turns(1)
