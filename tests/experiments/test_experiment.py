"""Experiments: the files they write, and how they resume."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

import metaloss
from metaloss import AdjustedLoss, Adjuster
from metaloss.checks import InputError
from metaloss.conditioners import Margin
from metaloss.experiments import (
    Adjusted,
    Conventional,
    Experiment,
    RunFolder,
    RunSettings,
    Transferred,
)
from metaloss.losses import GCE, JS, CrossEntropy, LossFamily
from metaloss.pretrained import add_to_card, save_adjuster
from metaloss.training import Observer, Recipe
from tests.experiments.runs import Stop, StopAtStep
from tests.helpers.tasks import blobs

METHODS = (
    Conventional(name="CE", loss=CrossEntropy()),
    Adjusted(name="A-GCE (margin)", loss=GCE()),
)


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))


ONE_SEED = RunSettings(last=2, device="cpu")


def experiment(**changes) -> Experiment:
    settings = {
        "task": blobs,
        "model": model,
        "methods": METHODS,
        "recipe": Recipe(epochs=3, meta_every=2),
        "settings": replace(ONE_SEED, seeds=(0, 1)),
        **changes,
    }
    return Experiment(**settings)


def folder(tmp_path) -> RunFolder:
    return RunFolder(tmp_path / "run")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished experiment, which no test changes."""
    place = tmp_path_factory.mktemp("whole") / "run"
    experiment().run(RunFolder(place))
    return place


def rows_of(run: Path) -> list[dict]:
    return json.loads((run / "results.json").read_text())["rows"]


def test_the_table_is_what_the_metrics_say_and_done_runs_are_not_run_again(whole: Path) -> None:
    class Never(Observer):
        def begin(self, info) -> None:
            raise AssertionError("it was done")

    rows = experiment().run(RunFolder(whole, resume=True), Never())
    saved = json.loads((whole / "results.json").read_text())
    assert saved["rows"] == rows
    assert [r["method"] for r in rows] == ["CE", "A-GCE (margin)"]
    for found, name in zip(rows, ["CE", "A-GCE-margin"], strict=True):
        means = []
        for seed in (0, 1):
            lines = (whole / name / f"seed-{seed}" / "metrics.jsonl").read_text()
            epochs = [json.loads(line) for line in lines.splitlines()]
            assert [e["epoch"] for e in epochs] == [1, 2, 3]
            means.append((epochs[1]["test_accuracy"] + epochs[2]["test_accuracy"]) / 2)
        assert found["accuracy_mean"] == pytest.approx(sum(means) / 2)
        assert found["accuracy_std"] == pytest.approx(abs(means[0] - means[1]) / 2**0.5)
        assert found["seeds"] == [0, 1]
    assert set(saved["versions"]) == {"python", "metaloss", "torch", "torchopt"}


def test_a_run_folder_holds_what_it_promises(whole: Path) -> None:
    run = whole / "A-GCE-margin" / "seed-0"
    assert {p.name for p in run.iterdir()} == {
        "identity.json",
        "inputs.json",
        "metrics.jsonl",
        "confusion.json",
        "margins.safetensors",
        "model.safetensors",
        "samples.safetensors",
        "adjuster",
        "result.json",
    }
    criterion = metaloss.from_pretrained(run / "adjuster")
    assert criterion.adjuster.until == (1 / 3, 2 / 3, 1.0)
    assert not any(p.requires_grad for p in criterion.parameters())


def test_methods_share_data_order_and_initial_network(tmp_path) -> None:
    seen = []

    class Spy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = model()
            seen.append([p.detach().clone() for p in self.net.parameters()])

        def forward(self, inputs):
            return self.net(inputs)

    experiment(model=Spy, settings=ONE_SEED, recipe=Recipe(epochs=1)).run(folder(tmp_path))
    first, *rest = seen
    assert len(rest) == 3  # two are compared before anything is written, then one a method
    for other in rest:
        assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_a_stopped_experiment_resumes_to_the_same_table(whole: Path, tmp_path) -> None:
    place = RunFolder(tmp_path / "parts")
    # Stopped in the middle of an epoch of the second run, then of the third.
    for after in (27, 21):
        with pytest.raises(KeyboardInterrupt):
            experiment().run(place, StopAtStep(after))
        place = RunFolder(tmp_path / "parts", resume=True)
    assert (tmp_path / "parts" / "A-GCE-margin" / "seed-0" / "result.json").exists()
    assert experiment().run(place) == rows_of(whole)
    for name in ("CE", "A-GCE-margin"):
        for seed in (0, 1):
            where = f"{name}/seed-{seed}/model.safetensors"
            assert (tmp_path / "parts" / where).read_bytes() == (whole / where).read_bytes()
            assert not (tmp_path / "parts" / name / f"seed-{seed}" / "checkpoint.pt").exists()


def test_a_learned_adjuster_is_deployed_without_clean_samples(whole: Path, tmp_path) -> None:
    learned = whole / "A-GCE-margin" / "seed-0" / "adjuster"
    used = []

    class Watch(Observer):
        def step(self, step: int) -> None:
            used.append(criteria[-1].adjuster.current)

    @dataclass(frozen=True, kw_only=True)
    class Spy(Transferred):
        def criterion(self, task):
            criteria.append(super().criterion(task))
            return criteria[-1]

    criteria = []
    deployed = experiment(
        task=partial(blobs, seed=7, meta=False, samples=40),
        methods=(Spy(name="T-GCE", adjuster=learned),),
        settings=ONE_SEED,
    )
    deployed.run(RunFolder(tmp_path / "deployed"), Watch())
    assert used == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]  # Algorithm 2's thirds of 12 steps
    saved = metaloss.from_pretrained(learned).adjuster.state_dict()
    assert all(torch.equal(saved[k], v) for k, v in criteria[-1].adjuster.state_dict().items())


def test_threads_are_set_for_the_run_alone(tmp_path) -> None:
    seen = set()

    class Watch(Observer):
        def step(self, step: int) -> None:
            seen.add(torch.get_num_threads())

    before = torch.get_num_threads()
    settings = replace(ONE_SEED, threads=before + 1)
    short = {"methods": METHODS[:1], "recipe": Recipe(epochs=1)}
    experiment(settings=settings, **short).run(folder(tmp_path), Watch())
    assert seen == {before + 1}
    assert torch.get_num_threads() == before


def test_a_killed_run_resumes_although_its_last_line_was_cut(whole: Path, tmp_path) -> None:
    metrics = tmp_path / "run" / "CE" / "seed-0" / "metrics.jsonl"

    settings = {"settings": ONE_SEED, "methods": METHODS[:1]}
    with pytest.raises(KeyboardInterrupt):
        experiment(**settings).run(folder(tmp_path), Stop(), {"config.gin": ""})
    with metrics.open("a") as file:
        file.write('{"epoch": 3, "st')
    (resumed,) = experiment(**settings).run(RunFolder(tmp_path / "run", resume=True))
    assert resumed["values"] == rows_of(whole)[0]["values"][:1]
    result = json.loads((metrics.parent / "result.json").read_text())
    epochs = [json.loads(line) for line in metrics.read_text().splitlines()]
    assert result["seconds"] == pytest.approx(sum(epoch["seconds"] for epoch in epochs))
    (metrics.parent / "result.json").write_text('{"accur')
    with pytest.raises(InputError, match=r"expected JSON.*delete .* to run it anew"):
        experiment(**settings).run(RunFolder(tmp_path / "run", resume=True))


def test_a_run_is_not_taken_for_that_of_another_adjuster(tmp_path) -> None:
    def learned(loss: LossFamily) -> None:
        criterion = AdjustedLoss(loss, Margin(), Adjuster.for_loss(loss, Margin()))
        save_adjuster(tmp_path / "adjuster", criterion)

    learned(GCE())
    methods = [Transferred(name="T", adjuster=tmp_path / "adjuster")]

    def run() -> list[dict]:
        place = RunFolder(tmp_path / "run", resume=(tmp_path / "run").exists())
        return experiment(methods=methods).run(place, documents={"config.gin": ""})

    rows = run()
    assert run() == rows
    add_to_card(tmp_path / "adjuster", {"limits": "none"})  # what people are told is no matter
    assert run() == rows
    learned(JS())
    with pytest.raises(InputError, match=r"expected the same method\.adjuster, got others"):
        run()
