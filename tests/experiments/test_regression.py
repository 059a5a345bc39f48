"""Experiments on a real regression task with corrupted targets, with Barron's loss."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import metaloss
from metaloss.bilevel import Lookahead
from metaloss.checks import InputError
from metaloss.cli import app
from metaloss.conditioners import Concat, Margin, MovingAverage, Progress, Residual
from metaloss.experiments import Adjusted, Conventional, Experiment, MetaTraining, Oracle, RunFolder
from metaloss.experiments.preflight.dry_run import dry_run
from metaloss.kinds import REGRESSION
from metaloss.losses import GCE, Barron, CrossEntropy, SquaredError
from metaloss.models import MLP
from metaloss.tasks import corruption, diabetes, noise_grid, regression_task
from metaloss.training import Recipe
from metaloss.training.evaluate import evaluate
from tests.helpers.tasks import blobs

CLEAN = partial(regression_task, data=diabetes, num_meta=60, num_test=120)
TASK = partial(CLEAN, noise=partial(corruption.shifted, rate=0.4))
NETWORK = partial(MLP, 10, 1, hidden=(32,))


def recipe(epochs: int = 2, **changed) -> Recipe:
    return Recipe(
        epochs=epochs,
        optimizer=lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9),
        meta_every=1,
        lookahead=Lookahead(hold_norm=1.0),
        **changed,
    )


def experiment(epochs: int, **changed) -> Experiment:
    methods = [
        Conventional(name="L2", loss=SquaredError()),
        Conventional(name="Barron", loss=Barron()),
        Adjusted(name="A-Barron", loss=Barron()),
        Oracle(name="oracle", loss=Barron()),
    ]
    return Experiment(
        **{"task": TASK, "model": NETWORK, "methods": methods, "recipe": recipe(epochs), **changed}
    )


def epochs_of(run: Path, method: str) -> list[dict[str, Any]]:
    """Return the record of each epoch."""
    text = (run / method / "seed-0/metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.exhaustive
def test_the_adjuster_finds_the_corrupted_ones(tmp_path) -> None:
    rows = experiment(40).run(RunFolder(tmp_path / "run"))
    found = {row["method"]: row["mae_mean"] for row in rows}
    # Two fifths of the values are too great by three deviations: L2 is off by most of their mean.
    assert found["L2"] > 1.0
    assert found["A-Barron"] < 0.8 * found["Barron"]
    assert all(row["metric"] == "mae" for row in rows)
    last = epochs_of(tmp_path / "run", "A-Barron")[-1]
    assert last["alpha_clean"] > last["alpha_flipped"] + 0.3
    assert {"train_mae", "test_mae", "test_loss"} <= set(last)
    criterion = metaloss.from_pretrained(tmp_path / "run/A-Barron/seed-0/adjuster")
    with torch.no_grad():
        near, far = criterion.hparams(torch.tensor([[0.1], [4.0]]), torch.zeros(2, 1))[:, 0]
    assert near > far + 0.3


def test_figures_are_those_of_the_test_set() -> None:
    task, model = TASK(), NETWORK()
    found = evaluate(model, task.test, REGRESSION)
    (batch,) = task.test.epoch(0)
    errors = model(batch.inputs) - batch.targets
    assert found.score == pytest.approx(errors.abs().mean().item(), rel=1e-6)
    assert found.loss == pytest.approx(errors.square().mean().item() / 2, rel=1e-6)


def test_warm_up_is_with_the_squared_error(tmp_path) -> None:
    methods = [
        Conventional(name="L2", loss=SquaredError()),
        Conventional(name="Barron", loss=Barron(), values={"alpha": -4.0}),
    ]
    ours = experiment(2, methods=methods, recipe=recipe(2, warmup_epochs=1))
    ours.run(RunFolder(tmp_path / "run"))
    first, second = (epochs_of(tmp_path / "run", name) for name in ("L2", "Barron"))
    assert first[0]["test_mae"] == second[0]["test_mae"]
    assert first[1]["test_mae"] != second[1]["test_mae"]


def test_meta_training_over_corruptions_with_a_held_out_report(tmp_path) -> None:
    grid = partial(
        noise_grid,
        task=CLEAN,
        noises={"replaced": corruption.replaced, "shifted": corruption.shifted},
    )
    told = Concat([Residual(), MovingAverage(Residual()), Progress()])
    rows = MetaTraining(
        tasks=grid(rates=(0.2, 0.5)),
        held_out=grid(rates=(0.4,)),
        methods=[Adjusted(name="A-Barron", loss=Barron(), conditioner=told)],
        recipe=recipe(),
        model=NETWORK,
    ).run(RunFolder(tmp_path / "run"))
    assert [row["method"] for row in rows] == ["L2", "Barron", "transferred A-Barron"]
    assert set(rows[0]["tasks"]) == {"replaced-0.4", "shifted-0.4"}
    card = json.loads((tmp_path / "run/A-Barron/seed-0/adjuster/card.json").read_text())
    assert set(card["about"]["held_out"]) == {"L2", "Barron", "transferred A-Barron"}
    assert card["about"]["mae"] > 0


def test_the_hypergradient_holds(tmp_path) -> None:
    words = ["check-grad", "experiments/diabetes.gin", "--directions", "2"]
    said = CliRunner().invoke(app, words, catch_exceptions=False)
    assert said.exit_code == 0, said.output


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("task", "model", "method", "message"),
    [
        (TASK, NETWORK, Conventional(name="CE", loss=CrossEntropy()), "expected one for regres"),
        (TASK, NETWORK, Adjusted(name="A", loss=GCE()), "expected one for regression, as the tar"),
        (
            TASK,
            NETWORK,
            Adjusted(name="A", loss=Barron(), conditioner=Margin()),
            "conditioner: expected one for regression, as Barron is, got Margin",
        ),
        (
            TASK,
            partial(MLP, 10, 3),
            Conventional(name="L2", loss=SquaredError()),
            r"expected outputs \[batch, 1\] for the task's values",
        ),
        (
            blobs,
            partial(nn.Linear, 5, 3),
            Conventional(name="L2", loss=SquaredError()),
            "expected one for classification, as the targets are, got SquaredError",
        ),
        (
            partial(TASK, num_meta=0),
            NETWORK,
            Adjusted(name="A", loss=Barron()),
            "expected samples to meta-train",
        ),
    ],
)
def test_what_does_not_go_together_is_told_at_once(task, model, method, message: str) -> None:
    with pytest.raises(InputError, match=message):
        dry_run(task(), model, recipe(), [method])
