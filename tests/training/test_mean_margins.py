"""Each sample's mean margin over training, and that keeping it changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from metaloss.checks import InputError
from metaloss.experiments import Conventional, RunFolder, RunSettings
from metaloss.losses import GCE, CrossEntropy
from metaloss.training import Recipe
from metaloss.training.mean_margins import MeanMargins
from tests.experiments.runs import Stop, experiment
from tests.experiments.test_recorded_samples import Restless
from tests.experiments.test_regression import NETWORK, TASK, recipe
from tests.helpers.tasks import blobs


def test_means_against_a_loop_over_batches() -> None:
    draw = torch.Generator().manual_seed(0)
    kept, seen = MeanMargins(9), {i: [] for i in range(9)}  # type: ignore[var-annotated]
    for _ in range(20):
        index = torch.randint(8, (5,), generator=draw)  # some twice in a batch, and 8 never
        outputs = torch.randn(5, 3, generator=draw)
        targets = torch.randint(3, (5,), generator=draw)
        kept.add(outputs, targets, index)
        for row, target, i in zip(outputs.tolist(), targets.tolist(), index.tolist(), strict=True):
            seen[i].append(row[target] - max(v for j, v in enumerate(row) if j != target))
    assert kept.counts.tolist() == [len(values) for values in seen.values()]
    means = kept.means()
    assert means[8].isnan()
    for i in range(8):
        assert float(means[i]) == pytest.approx(sum(seen[i]) / len(seen[i]), abs=1e-5)


def test_positions_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match=r"positions in the 2 training targets, got 0\.\.2"):
        MeanMargins(2).add(torch.zeros(2, 3), torch.tensor([0, 0]), torch.tensor([0, 2]))


def margins_of(place: Path, method: str = "A", **changes: Any) -> bytes:
    folder = RunFolder(place, resume=place.exists())
    experiment(**changes).run(folder)
    return (folder.run(method, 0).path / "margins.safetensors").read_bytes()


def test_a_run_writes_the_margins_of_its_own_steps(tmp_path: Path) -> None:
    """One step an epoch, of all samples: the margins are those of the weights before it."""
    methods = [Conventional(name="CE", loss=CrossEntropy())]
    weights: list[torch.Tensor] = []

    class Net(torch.nn.Linear):
        def forward(self, inputs):
            if self.training:
                weights.append(self.weight.detach().clone())
            return super().forward(inputs)

    changes: dict[str, Any] = {
        "methods": methods,
        "task": lambda seed, device: blobs(seed, device, batch_size=60),
        "model": lambda: Net(5, 3, bias=False),
        "recipe": Recipe(epochs=3),
    }
    found = safetensors.torch.load(margins_of(tmp_path / "run", "CE", **changes))
    task = blobs(0, batch_size=60)
    (batch,) = task.train.in_order().epoch(0)  # type: ignore[attr-defined]
    expected = []
    for weight in weights[-3:]:  # the first are those of the check beforehand
        logits = batch.inputs @ weight.T
        own = logits.gather(1, batch.targets[:, None]).squeeze(1)
        expected.append(own - logits.scatter(1, batch.targets[:, None], -torch.inf).amax(dim=1))
    assert found["index"].tolist() == list(range(60))
    assert found["batches"].tolist() == [3] * 60
    torch.testing.assert_close(found["mean_margin"], torch.stack(expected).mean(dim=0))


@pytest.mark.parametrize("stop", [1, 3])
def test_a_resumed_run_has_the_same_margins(stop: int, tmp_path: Path) -> None:
    whole = margins_of(tmp_path / "whole", model=Restless)
    with pytest.raises(KeyboardInterrupt):
        experiment(model=Restless).run(RunFolder(tmp_path / "parts"), Stop(stop))
    assert margins_of(tmp_path / "parts", model=Restless) == whole


def test_the_warm_up_counts(tmp_path: Path) -> None:
    methods = [Conventional(name="A", loss=GCE())]
    warm = Recipe(epochs=3, warmup_epochs=2)
    found = safetensors.torch.load(margins_of(tmp_path / "run", methods=methods, recipe=warm))
    assert found["batches"].tolist() == [3] * 60


def test_in_regression_there_are_none(tmp_path: Path) -> None:
    from metaloss.losses import Barron

    methods = [Conventional(name="A", loss=Barron())]
    changes = {"task": TASK, "model": NETWORK, "methods": methods, "recipe": recipe(1)}
    folder = RunFolder(tmp_path / "run")
    experiment(settings=RunSettings(device="cpu", last=1), **changes).run(folder)
    assert not (folder.run("A", 0).path / "margins.safetensors").exists()
