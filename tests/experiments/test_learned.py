"""Warnings about adjusters that learned nothing, or the wrong way round."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from metaloss import Adjuster
from metaloss.experiments import (
    Adjusted,
    Comparison,
    Conventional,
    Experiment,
    MetaTraining,
    RunFolder,
    RunSettings,
    TaskSpec,
)
from metaloss.experiments.warnings.learned import doubts, trust
from metaloss.losses import GCE, SL, Barron, Focal, PolySoft
from metaloss.tasks import classification_task, digits, noise
from metaloss.training import Recipe
from tests.experiments.runs import Remarks, Stop

MARGIN = torch.linspace(-8, 8, 200)
SIGMOID = torch.sigmoid(MARGIN)
(Q,) = GCE().hyperparameters


def about(loss: Any, *columns: Tensor, hold_norm: float = 0.0, **changed: Tensor) -> str:
    samples = {"margin": MARGIN, "hparams": torch.stack(columns, dim=1), **changed}
    return "\n".join(doubts(loss.hyperparameters, samples, hold_norm))


def test_the_shape_of_the_papers_figure_is_in_no_doubt() -> None:
    assert about(GCE(), 1 - SIGMOID) == ""
    assert about(PolySoft(), 10 * SIGMOID, torch.full_like(MARGIN, 5.0)) == ""
    steps = (MARGIN < 0).float()  # many equal values
    assert about(GCE(), steps) == ""


def test_constant() -> None:
    said = about(GCE(), 0.3 + 0.01 * SIGMOID)
    assert said.startswith(
        "q: expected a value for each sample, got about the same for all: 0.3 to"
    )
    assert "0.31 from the 5th to the 95th percentile, of a range from 0 to 1." in said
    assert about(GCE(), 0.3 - 0.06 * SIGMOID) == ""  # a small difference, but the right way round


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.01, "got its lowest, 0, or nearly, for 100% of them. That is right if nearly all"),
        (0.99, "got its highest, 1, or nearly, for 100% of them. Every label is treated"),
    ],
)
def test_saturated(value: float, said: str) -> None:
    assert said in about(GCE(), torch.full_like(MARGIN, value))
    assert said[:20] not in about(GCE(), torch.full_like(MARGIN, 0.5))


def test_an_end_that_is_neither_trust_nor_distrust() -> None:
    said = about(Focal(), torch.full_like(MARGIN, 5.0))
    assert "gamma: expected a value for each sample, got its highest, 5" in said
    assert "If it is not meant" in said


def test_a_few_wrong_labels_among_many_right_ones_are_enough() -> None:
    few = torch.zeros_like(MARGIN)
    few[:4] = 0.9  # 2%, the lowest margins: no percentile between the 5th and the 95th shows them
    assert about(GCE(), few) == ""
    assert "for 98% of them" in about(GCE(), few.roll(100))  # in the middle, by chance


def test_one_hyperparameter_that_tells_samples_apart_is_enough() -> None:
    flat, adapted = torch.full_like(MARGIN, 1.0), SIGMOID
    assert about(SL(), adapted, flat) == ""
    both = about(SL(), flat, flat).splitlines()
    assert [line.split(":")[0] for line in both] == ["gamma_1", "gamma_2"]


def test_reversed() -> None:
    said = about(GCE(), SIGMOID)
    assert "q: expected low margins to be trusted less than high ones, got the reverse" in said
    low, high = SIGMOID[:50].mean(), SIGMOID[150:].mean()
    assert f"it is {low:.3g} in the quarter of the samples with low margins" in said
    assert f"and {high:.3g} in that with high ones (rank correlation with trust -1.00)" in said
    assert "lam: expected low margins" in about(PolySoft(), 10 - 10 * SIGMOID, 1 + 4 * SIGMOID)
    assert about(Focal(), 5 * SIGMOID) == about(Focal(), 5 - 5 * SIGMOID) == ""  # who knows


def test_no_relation_to_the_margin_is_not_the_reverse() -> None:
    draws = torch.rand(200, generator=torch.Generator().manual_seed(0))
    assert about(GCE(), draws) == ""


def test_for_regression_the_residual_takes_the_place_of_the_margin() -> None:
    residual = torch.linspace(0, 4, 200)
    alpha, c = 1.9 - residual, torch.full_like(residual, 1.0)

    def told(alpha: Tensor) -> list[str]:
        samples = {"residual": residual, "hparams": torch.stack([alpha, c], dim=1)}
        return doubts(Barron().hyperparameters, samples)

    assert told(alpha) == []
    (line,) = told(alpha.flip(0))
    assert "alpha: expected large residuals to be trusted less than small ones" in line


def test_no_advice_is_to_do_what_is_done() -> None:
    for values in (SIGMOID, torch.full_like(MARGIN, 0.4), torch.zeros_like(MARGIN)):
        assert "HOLD_NORM = 0.9" in about(GCE(), values)
        assert "HOLD_NORM" not in about(GCE(), values, hold_norm=0.9)
    silent = torch.ones_like(MARGIN)
    assert "HOLD_NORM" not in about(GCE(), silent)
    assert "HOLD_NORM = 0.9" in about(GCE(), silent, hold_norm=1.0)


def test_trust_is_the_place_between_the_oracles_values() -> None:
    assert trust(Q, torch.tensor([1.0, 0.75, 0.0])).tolist() == [0.0, 0.25, 1.0]


# Real runs, with adjusters that are made to be what they are and hardly move.

TASK = partial(
    classification_task,
    data=digits,
    noise=partial(noise.symmetric, rate=0.4),
    num_meta=100,
    num_test=360,
    subset=400,
)


def network() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def made(slope: float, bias: float, **arguments: Any) -> Adjuster:
    """An adjuster that predicts the sigmoid of slope x margin + bias."""
    adjuster = Adjuster(**arguments)
    with torch.no_grad():
        adjuster.net[0].weight.copy_(torch.tensor([1.0, -1.0]).repeat(50).unsqueeze(1))
        adjuster.net[0].bias.zero_()
        adjuster.net[2].weight.copy_(slope / 50 * torch.tensor([[1.0, -1.0]]).repeat(1, 50))
        adjuster.net[2].bias.fill_(bias)
    return adjuster


def adjusted(name: str, slope: float, bias: float) -> Adjusted:
    return Adjusted(name=name, loss=GCE(), adjuster=partial(made, slope, bias))


METHODS = (
    adjusted("constant", 0.0, 0.5),
    adjusted("saturated", 0.0, -6.0),
    adjusted("reversed", 1.0, 0.0),
    adjusted("right", -1.0, 0.0),
    Conventional(name="fixed", loss=GCE()),
)
RECIPE = Recipe(
    epochs=2, meta_every=4, meta_optimizer=partial(torch.optim.Adam, lr=1e-7), evaluate_last=1
)
RUN = Experiment(
    task=TASK,
    model=network,
    methods=METHODS,
    recipe=RECIPE,
    settings=RunSettings(last=1, device="cpu"),
)


def kept_by(run: Path, method: str) -> list[str] | None:
    return json.loads((run / method / "seed-0/result.json").read_text()).get("warnings")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Remarks]:
    """A finished run of all methods, and what it said."""
    folder, listen = tmp_path_factory.mktemp("whole") / "run", Remarks("meta steps or more")
    RUN.run(RunFolder(folder), listen)
    return folder, listen


def test_runs_say_so_and_keep_it(whole: tuple[Path, Remarks]) -> None:
    folder, listen = whole
    kept = {method.name: kept_by(folder, method.name) for method in METHODS}
    assert kept["right"] is None and kept["fixed"] is None
    for name, words in {
        "constant": "about the same for all: 0.622 to 0.622",
        "saturated": "got its lowest, 0,",
        "reversed": "got the reverse",
    }.items():
        (line,) = kept[name]
        assert words in line
    names = ("constant", "saturated", "reversed")
    assert listen.lines == [f"{name}, seed 0: {kept[name][0]}" for name in names]


def test_a_resumed_run_has_the_same_warnings(whole: tuple[Path, Remarks], tmp_path) -> None:
    one = replace(RUN, methods=METHODS[2:3])
    with pytest.raises(KeyboardInterrupt):
        one.run(RunFolder(tmp_path / "parts"), Stop(1))
    listen = Remarks("meta steps or more")
    one.run(RunFolder(tmp_path / "parts", resume=True), listen)
    assert kept_by(tmp_path / "parts", "reversed") == kept_by(whole[0], "reversed") is not None
    assert len(listen.lines) == 1


def test_a_comparison_names_the_task(tmp_path) -> None:
    spec = TaskSpec(name="digits", task=TASK)
    ours = Comparison(
        tasks=[spec], methods=METHODS[:1], recipe=RECIPE, model=network, settings=RUN.settings
    )
    listen = Remarks("meta steps or more")
    ours.run(RunFolder(tmp_path / "run"), listen)
    (line,) = listen.lines
    assert line.startswith("digits: constant, seed 0: q: expected")


def test_a_meta_training_looks_at_all_of_its_tasks(tmp_path) -> None:
    other = partial(TASK, noise=partial(noise.symmetric, rate=0.2))
    ours = MetaTraining(
        tasks=[TaskSpec(name="more", task=TASK), TaskSpec(name="less", task=other)],
        methods=METHODS[2:4],
        recipe=RECIPE,
        model=network,
        settings=RUN.settings,
    )
    listen = Remarks("meta steps or more")
    ours.run(RunFolder(tmp_path / "run"), listen)
    (line,) = listen.lines
    assert line.startswith("reversed, seed 0: q: expected low margins")
    kept = [kept_by(tmp_path / "run", name) for name in ("reversed", "right")]
    assert kept == [[line.removeprefix("reversed, seed 0: ")], None]
