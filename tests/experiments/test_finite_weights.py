"""Weights that are not finite are never written, whichever step made them."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from metaloss.checks import InputError
from metaloss.experiments import Conventional, RunFolder
from metaloss.losses import CrossEntropy
from metaloss.training import Observer, Recipe
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
    """Breaks the network in some steps."""

    def __init__(self, steps: range, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps, self.monkeypatch = steps, monkeypatch

    def step(self, step: int) -> None:
        self.monkeypatch.setattr(Breaking, "broken", step in self.steps)


def settings(max_skipped: int) -> dict[str, Any]:
    return {
        "model": Breaking,
        "methods": [Conventional(name="CE", loss=CrossEntropy())],
        "recipe": Recipe(epochs=4, max_skipped=max_skipped),
    }


def epochs(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def check_finite(tensors: Mapping[str, Tensor]) -> None:
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The table of a run in which no step is bad."""
    return experiment(**settings(1)).run(RunFolder(tmp_path_factory.mktemp("whole") / "run"))


@pytest.mark.parametrize("at", [8, 2 * STEPS - 1, 4 * STEPS - 1])
def test_the_step_is_named_and_the_run_can_go_on(
    at: int, whole: list[dict[str, Any]], tmp_path: Path, monkeypatch
) -> None:
    with pytest.raises(InputError, match=f"step {at}: the gradient of net.weight is not finite; "):
        breaking = Break(range(at, at + 1), monkeypatch)
        experiment(**settings(1)).run(RunFolder(tmp_path / "run"), breaking)
    monkeypatch.setattr(Breaking, "broken", False)
    run = tmp_path / "run/CE/seed-0"
    assert not (run / "model.safetensors").exists()
    assert [record["epoch"] for record in epochs(run)] == list(range(1, 1 + at // STEPS))
    # Another number of steps to skip is the same run.
    assert experiment(**settings(9)).run(RunFolder(tmp_path / "run", resume=True)) == whole
    check_finite(safetensors.torch.load_file(run / "model.safetensors"))


@pytest.mark.parametrize("at", [8, 2 * STEPS - 1, 4 * STEPS - 1])
def test_a_bad_step_is_skipped_and_counted(at: int, tmp_path: Path, monkeypatch) -> None:
    run = tmp_path / "run/CE/seed-0"
    experiment(**settings(2)).run(
        RunFolder(tmp_path / "run"), Break(range(at, at + 1), monkeypatch)
    )
    skipped = {"number": 1, "step": at, "tensor": "net.weight"}
    expected = [skipped if at // STEPS == epoch else None for epoch in range(4)]
    assert [record.get("skipped_steps") for record in epochs(run)] == expected
    check_finite(safetensors.torch.load_file(run / "model.safetensors"))


def test_too_many_end_the_run_and_leave_a_good_checkpoint(tmp_path: Path, monkeypatch) -> None:
    run = tmp_path / "run/CE/seed-0"
    with pytest.raises(
        InputError, match=r"step 13: .* and so it was in 5 steps in a row; check the"
    ):
        breaking = Break(range(9, 24), monkeypatch)  # in two epochs
        experiment(**settings(5)).run(RunFolder(tmp_path / "run"), breaking)
    monkeypatch.setattr(Breaking, "broken", False)
    held = (run / "checkpoint.pt").read_bytes().partition(b"\n")[2]
    saved = torch.load(io.BytesIO(held), weights_only=True)["state"]["blobs"]["state"]
    assert (saved["step"], saved["skipped"]) == (2 * STEPS, 3)
    check_finite(saved["model"])
    experiment(**settings(5)).run(RunFolder(tmp_path / "run", resume=True))
    assert [record["epoch"] for record in epochs(run)] == [1, 2, 3, 4]


class Worse(torch.optim.SGD):
    """An optimizer that makes NaN of finite gradients at one step."""

    steps = 0

    def step(self, closure=None) -> None:
        super().step(closure)
        self.steps += 1
        if self.steps == 9:
            self.param_groups[0]["params"][1].data.fill_(math.nan)


def test_weights_that_the_optimizer_breaks_end_the_run_at_once(tmp_path: Path) -> None:
    recipe = Recipe(epochs=4, optimizer=lambda p: Worse(p, lr=0.1))
    with pytest.raises(InputError, match=r"step 8: it left net\.bias with values that are not"):
        experiment(**settings(10) | {"recipe": recipe}).run(RunFolder(tmp_path / "run"))
    assert [record["epoch"] for record in epochs(tmp_path / "run/CE/seed-0")] == [1]
