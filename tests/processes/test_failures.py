"""A process that ends, and what the others say and leave behind."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import safetensors.torch
import torch

from metaloss import InputError
from metaloss.experiments import RunFolder
from metaloss.training import FabricEngine
from tests.helpers.processes import script
from tests.processes.blob_experiment import experiment


@pytest.mark.exhaustive
@pytest.mark.parametrize("how", ["killed", "error"])
def test_a_process_that_ends(tmp_path: Path, how: str) -> None:
    began = time.monotonic()
    ended = script("tests.processes.dying", tmp_path / "run", how)
    assert ended.returncode != 0
    assert time.monotonic() - began < 60
    assert "another process of the run has ended" in ended.stderr or ended.returncode == -9
    assert (tmp_path / "run/CE/seed-0/checkpoint.pt").is_file()
    if how == "error":
        assert "image 7: expected an image, got none" in ended.stderr
        return
    found = experiment(1).run(RunFolder(tmp_path / "run", resume=True))  # in another number
    expected = experiment(1).run(RunFolder(tmp_path / "whole"))
    for row, other in zip(found, expected, strict=True):
        assert row["accuracy_mean"] == pytest.approx(other["accuracy_mean"], rel=1e-9)
    one, two = (
        safetensors.torch.load_file(tmp_path / run / "A-GCE/seed-0/model.safetensors")
        for run in ("whole", "run")
    )
    torch.testing.assert_close(two, one, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"devices": 0}, "devices: expected a whole number of at least 1, got 0"),
        ({"timeout": 0.0}, "timeout: expected"),
        ({"precision": "half"}, "precision: expected one of 32-true, bf16-mixed, 16-mixed, got"),
        ({"accelerator": "abacus"}, "accelerator: expected one of auto, cpu, cuda, got"),
    ],
)
def test_settings(settings: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        FabricEngine(**settings)


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(InputError, match=r"^expected 1 devices of kind cuda.*, but Fabric says: "):
        FabricEngine(accelerator="cuda").launch()


@pytest.mark.filterwarnings("ignore")  # as where a user runs it: Fabric warns, and goes on
@pytest.mark.parametrize("accelerator", ["auto", "cpu"])
def test_a_precision_that_the_device_lacks(
    accelerator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"^precision: expected 32-true .* got 16-mixed, which"):
        FabricEngine(accelerator=accelerator, precision="16-mixed").launch()
