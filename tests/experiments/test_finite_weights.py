"""Weights that are not finite are never written, whichever step made them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from metaloss.checks import InputError
from metaloss.experiments import Conventional, RunFolder
from metaloss.losses import CrossEntropy
from metaloss.training import Observer
from tests.experiments.runs import experiment

STEPS = 6  # in an epoch, of which there are four


class Breaking(nn.Module):
    """A network with finite outputs whose gradient is NaN while ``broken`` is set."""

    broken = False

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(5, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs = self.net(inputs)
        if Breaking.broken and outputs.requires_grad:
            outputs.register_hook(lambda gradient: gradient * math.nan)
        return outputs


class Break(Observer):
    def __init__(self, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at, self.monkeypatch = at, monkeypatch

    def step(self, step: int) -> None:
        self.monkeypatch.setattr(Breaking, "broken", step == self.at)


@pytest.mark.parametrize("at", [8, 2 * STEPS - 1, 4 * STEPS - 1])
def test_the_step_is_named_and_the_run_can_go_on(at: int, tmp_path: Path, monkeypatch) -> None:
    settings = {"model": Breaking, "methods": [Conventional(name="CE", loss=CrossEntropy())]}
    whole = experiment(**settings).run(RunFolder(tmp_path / "whole"))
    with pytest.raises(InputError, match=f"step {at}: it left net.weight with values that are not"):
        experiment(**settings).run(RunFolder(tmp_path / "run"), Break(at, monkeypatch))
    monkeypatch.setattr(Breaking, "broken", False)
    run = tmp_path / "run/CE/seed-0"
    assert not (run / "model.safetensors").exists()
    epochs = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in epochs] == list(range(1, 1 + at // STEPS))
    assert experiment(**settings).run(RunFolder(tmp_path / "run", resume=True)) == whole
    for tensor in safetensors.torch.load_file(run / "model.safetensors").values():
        assert torch.isfinite(tensor).all()
