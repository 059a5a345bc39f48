"""Samples recorded over training: what is written, and that nothing else changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from metaloss.checks import InputError
from metaloss.config import configuration
from metaloss.experiments import (
    Conventional,
    Experiment,
    RunFolder,
    RunSettings,
    recorded,
)
from metaloss.experiments.records.run_records import RunRecords
from metaloss.losses import GCE, Barron, CrossEntropy, gradient_weight
from metaloss.training import Observer, Recipe
from tests.experiments.runs import Stop, experiment
from tests.experiments.test_regression import NETWORK, TASK, recipe
from tests.helpers.tasks import blobs

TIMES = (0.25, 0.75, 1.0)


class Restless(nn.Module):
    """Draws random numbers and counts its calls also in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Dropout(0.3))
        self.last = nn.Linear(8, 3)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, inputs: Tensor) -> Tensor:
        self.calls += 1
        noise = 1e-3 * torch.randn(len(inputs), 3) * (1 + self.calls)
        return self.last(self.net(inputs)) + noise


def settings(times=TIMES, **others) -> RunSettings:
    return RunSettings(device="cpu", last=2, record_samples=times, **others)


def run(place: Path, times=TIMES, **changes) -> RunRecords:
    folder = RunFolder(place, resume=place.exists())
    experiment(settings=settings(times), **changes).run(folder)
    return folder.run("A", 0)


def files(records: RunRecords) -> set[str]:
    return {path.name for path in records.path.glob("samples*")}


def test_the_samples_of_each_time_are_those_of_the_network_then(tmp_path: Path) -> None:
    seen: dict[int, tuple[Tensor, Tensor]] = {}
    made: list[nn.Module] = []

    def model() -> nn.Module:
        made.append(nn.Linear(5, 3))
        return made[-1]

    class Watch(Observer):
        def epoch(self, record) -> None:
            seen[record["epoch"]] = tuple(p.detach().clone() for p in made[-1].parameters())

    folder = RunFolder(tmp_path / "run")
    experiment(settings=settings(), model=model).run(folder, Watch())
    found = recorded(folder.run("A", 0))
    assert [(each.epoch, each.epochs) for each in found] == [(1, 4), (3, 4), (4, 4)]
    task = blobs(0)
    batches = list(task.train.in_order().epoch(0))
    inputs = torch.cat([batch.inputs for batch in batches])
    for epoch, _, samples in found:
        weight, bias = seen[epoch]
        logits = inputs @ weight.T + bias
        own = logits.gather(1, task.train_targets[:, None])[:, 0]
        others = logits.scatter(1, task.train_targets[:, None], -torch.inf).amax(dim=1)
        assert torch.equal(samples["targets"], task.train_targets)
        assert torch.equal(samples["flipped"], task.flipped)
        torch.testing.assert_close(samples["margin"], own - others)
        torch.testing.assert_close(samples["plain"], logits.logsumexp(dim=1) - own)
        weights = gradient_weight(GCE(), logits, task.train_targets, samples["hparams"])
        torch.testing.assert_close(samples["weights"], weights)
        p, q = (-samples["plain"]).exp(), samples["hparams"][:, 0]
        torch.testing.assert_close(samples["weights"], p**q)


def test_recording_changes_nothing_else(tmp_path: Path) -> None:
    without = run(tmp_path / "without", (1.0,), model=Restless)
    with_it = run(tmp_path / "with", (0.25, 0.5, 0.75, 1.0), model=Restless)
    assert files(without) == {"samples.safetensors"}
    assert files(with_it) == {"samples.safetensors"} | {
        f"samples-epoch-{epoch}.safetensors" for epoch in (1, 2, 3)
    }
    for name in ("model.safetensors", "samples.safetensors", "adjuster/adjuster.safetensors"):
        assert (without.path / name).read_bytes() == (with_it.path / name).read_bytes(), name
    metrics = [
        [
            {k: v for k, v in json.loads(line).items() if "second" not in k}
            for line in (records.path / "metrics.jsonl").read_text().splitlines()
        ]
        for records in (without, with_it)
    ]
    assert metrics[0] == metrics[1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunRecords:
    """A run that was not stopped."""
    return run(tmp_path_factory.mktemp("whole") / "run", model=Restless)


@pytest.mark.parametrize("stop", [1, 2, 3, 4])
def test_a_resumed_run_records_the_same(stop: int, whole: RunRecords, tmp_path: Path) -> None:
    place = RunFolder(tmp_path / "parts")
    with pytest.raises(KeyboardInterrupt):
        experiment(settings=settings(), model=Restless).run(place, Stop(stop))
    parts = run(tmp_path / "parts", model=Restless)
    assert files(parts) == files(whole)
    for name in files(whole):
        assert (parts.path / name).read_bytes() == (whole.path / name).read_bytes(), name


def test_the_identity_of_a_run_without_it_is_as_it_was(tmp_path: Path) -> None:
    records = run(tmp_path / "run", (1.0,))
    identity = json.loads((records.path / "identity.json").read_text())
    assert "record_samples" not in identity
    with pytest.raises(InputError, match=r"expected record_samples \[0.25, 0.75, 1.0\], got None"):
        run(tmp_path / "run", TIMES)
    run(tmp_path / "other", TIMES)
    with pytest.raises(InputError, match=r"expected record_samples None, got \[0.25, 0.75, 1.0\]"):
        run(tmp_path / "other", (1.0,))


def test_fixed_losses_are_recorded_and_cross_entropy_is_not(tmp_path: Path) -> None:
    methods = [
        Conventional(name="A", loss=GCE(), values={"q": 0.5}),
        Conventional(name="CE", loss=CrossEntropy()),
    ]
    records = run(tmp_path / "run", methods=methods)
    assert all((each.samples["hparams"] == 0.5).all() for each in recorded(records))
    ce = RunFolder(tmp_path / "run", resume=True).run("CE", 0)
    assert not files(ce)
    with pytest.raises(InputError, match="expected a run of a loss with hyperparameters, got CE"):
        recorded(ce)


def test_times_nearest_to_an_epoch() -> None:
    assert settings((1 / 3, 2 / 3, 1.0)).recorded_epochs(120) == (40, 80, 120)
    assert settings((0.01, 0.02, 1.0)).recorded_epochs(3) == (1, 3)


@pytest.mark.parametrize("times", [(), (0.5,), (0.5, 0.2, 1.0), (0.0, 1.0)])
def test_times_that_do_not_ascend_to_the_end_are_refused(times) -> None:
    with pytest.raises(InputError, match="record_samples: expected fractions ascending to 1"):
        settings(times)


def test_times_in_the_warm_up_are_refused() -> None:
    recipe = Recipe(epochs=4, warmup_epochs=1)
    settings((0.5, 1.0)).check_recipe(recipe)
    with pytest.raises(InputError, match=r"after the warm-up of 1 epochs, got 0\.25 of training"):
        settings((0.25, 1.0)).check_recipe(recipe)


def test_gin_has_a_macro_for_it() -> None:
    files = ["experiments/demo.gin"]
    with configuration(files) as parsed:
        assert parsed.build(Experiment).settings.record_samples == (1.0,)
    with configuration(files, ["RECORD_SAMPLES = (0.333, 0.667, 1.0)"]) as parsed:
        assert parsed.build(Experiment).settings.recorded_epochs(30) == (10, 20, 30)


def test_in_regression_the_residual_is_recorded(tmp_path: Path) -> None:
    methods = [Conventional(name="A", loss=Barron(), values={"alpha": -2.0, "c": 2.0})]
    changes = {"task": TASK, "model": NETWORK, "methods": methods, "recipe": recipe(2)}
    first, last = recorded(run(tmp_path / "run", (0.5, 1.0), **changes))
    assert not torch.equal(first.samples["residual"], last.samples["residual"])
    for each in (first, last):
        scaled = each.samples["residual"].double() / 2
        expected = (1 + scaled**2 / 4) ** -2 / 4  # see the test of the weights
        torch.testing.assert_close(each.samples["weights"].double(), expected, rtol=1e-4, atol=1e-6)
