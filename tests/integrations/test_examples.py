"""The examples of the documentation, run as they stand."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

import metaloss
import metaloss.integrations
from metaloss import Adjuster
from metaloss.conditioners import Margin, RunningMean
from metaloss.losses import GCE, CrossEntropy

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def example(name: str, *needs: str) -> ModuleType:
    for package in needs:
        pytest.importorskip(package)
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def progress(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the criterion is told of progress."""
    told: list[float] = []
    tell = metaloss.AdjustedLoss.progress

    def listen(criterion: metaloss.AdjustedLoss, fraction: float) -> None:
        told.append(fraction)
        tell(criterion, fraction)

    monkeypatch.setattr(metaloss.AdjustedLoss, "progress", listen)
    return told


def test_a_loop_written_by_hand(progress: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    module = example("hand_written")
    learned = module.main()
    assert learned > 90
    assert progress == [epoch / 12 for epoch in range(12)]
    monkeypatch.setattr(
        metaloss, "from_pretrained", lambda _: metaloss.AdjustedLoss.fixed(CrossEntropy())
    )
    assert module.main() < learned - 1


@pytest.mark.filterwarnings("ignore")
def test_lightning(progress: list[float]) -> None:
    classifier = example("with_lightning", "lightning").main()
    assert progress == [step / 24 for step in range(24)]
    assert classifier.criterion.adjuster.current == 2
    inputs = torch.randn(500, 20, generator=torch.Generator().manual_seed(1))
    found = classifier.net(inputs).argmax(dim=1)
    assert (found == inputs[:, :10].argmax(dim=1)).double().mean() > 0.4


@pytest.mark.filterwarnings("ignore")
def test_the_trainer_of_transformers(progress: list[float]) -> None:
    trainer = example("with_transformers", "transformers", "accelerate").main()
    assert progress == [step / 16 for step in range(16)]
    losses = [entry["train_loss"] for entry in trainer.state.log_history if "train_loss" in entry]
    assert losses and 0 < losses[0] < 2.4


@pytest.mark.filterwarnings("ignore")
def test_the_trainers_batches_are_remembered() -> None:
    pytest.importorskip("transformers")
    from metaloss.integrations.transformers import loss_func

    conditioner = RunningMean(Margin(), decay=0.0)
    adjuster = Adjuster.for_loss(GCE(), conditioner)
    compute = loss_func(metaloss.AdjustedLoss(GCE(), conditioner, adjuster))
    outputs, labels = {"logits": torch.randn(6, 10, requires_grad=True)}, torch.arange(6)
    compute(outputs, labels)
    torch.testing.assert_close(
        conditioner.mean, Margin()(outputs["logits"].detach(), labels).mean(dim=0)
    )
    with torch.no_grad():  # an evaluation
        compute({"logits": torch.randn(6, 10)}, labels)
    torch.testing.assert_close(
        conditioner.mean, Margin()(outputs["logits"].detach(), labels).mean(dim=0)
    )


@pytest.mark.filterwarnings("ignore")
def test_accumulated_batches_are_one_large_one() -> None:
    pytest.importorskip("transformers")
    from metaloss.integrations.transformers import loss_func

    criterion = metaloss.from_pretrained("gce-fashion-mnist-margin")
    compute = loss_func(criterion)
    outputs, labels = {"logits": torch.randn(12, 10)}, torch.arange(12) % 10
    whole = compute(outputs, labels)
    halves = [
        compute({"logits": outputs["logits"][part]}, labels[part], num_items_in_batch=12)
        for part in (slice(0, 5), slice(5, 12))
    ]
    torch.testing.assert_close(sum(halves), whole)


@pytest.mark.parametrize(
    ("name", "needs"), [("with_lightning", "lightning"), ("with_transformers", "transformers")]
)
def test_an_example_runs_by_itself(name: str, needs: str, tmp_path: Path) -> None:
    pytest.importorskip(needs)
    script = str(EXAMPLES / f"{name}.py")
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.filterwarnings("ignore")
def test_the_criterion_goes_where_the_trainer_put_the_model() -> None:
    pytest.importorskip("transformers")
    from metaloss.integrations.transformers import loss_func

    criterion = metaloss.from_pretrained("gce-fashion-mnist-margin")
    outputs = {"logits": torch.zeros(6, 10, device="meta")}
    loss = loss_func(criterion)(outputs, torch.zeros(6, dtype=torch.int64, device="meta"))
    assert loss.device.type == "meta"
