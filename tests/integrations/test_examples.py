"""The examples of the documentation, unchanged."""

from __future__ import annotations

import importlib.util
import os
import runpy
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

import metaloss
from metaloss.conditioners import Margin
from metaloss.losses import CrossEntropy
from metaloss.training import Recipe

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
    """Return the recorded arguments of ``criterion.progress``."""
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


def test_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    module = example("one_line")
    loss, accuracy = module.main()
    assert accuracy > 92 and loss < 0.4
    fixed = metaloss.AdjustedLoss.fixed(CrossEntropy())
    monkeypatch.setattr(metaloss, "from_pretrained", lambda *_, **settings: fixed)
    plain_loss, plain = module.main()
    assert accuracy > plain + 2 and loss < plain_loss


@pytest.mark.filterwarnings("ignore")
def test_lightning() -> None:
    classifier = example("with_lightning", "lightning").main()
    trained(classifier.net, classifier.criterion)


@pytest.mark.filterwarnings("ignore")
def test_learning_with_lightning(capsys: pytest.CaptureFixture[str]) -> None:
    module = example("learning_with_lightning", "lightning")
    classifier = module.main(epochs=10)
    assert float(capsys.readouterr().out.split()[-1].rstrip("%")) > 55
    first = metaloss.recommended(num_classes=10).criterion.adjuster.state_dict()
    learned = classifier.criterion.adjuster.state_dict()
    assert any(not torch.equal(first[name], learned[name]) for name in first)


@pytest.mark.filterwarnings("ignore")
def test_accelerate(capsys: pytest.CaptureFixture[str]) -> None:
    trained(*example("with_accelerate", "accelerate").main())
    assert capsys.readouterr().out.count("validation loss") == 5


def trained(net: torch.nn.Module, criterion: metaloss.AdjustedLoss) -> None:
    """Five epochs of eight batches each, which the criterion has remembered."""
    assert criterion.steps.done == criterion.steps.total == 40
    assert criterion.adjuster.current == 3
    assert criterion.conditioner.state_dict()["totals"].any()
    inputs = torch.randn(500, 20, generator=torch.Generator().manual_seed(1))
    found = net(inputs).argmax(dim=1)
    assert (found == inputs[:, :10].argmax(dim=1)).double().mean() > 0.5


@pytest.mark.filterwarnings("ignore")
@pytest.mark.exhaustive
def test_the_trainer_of_transformers(progress: list[float]) -> None:
    trainer = example("with_transformers", "transformers", "accelerate").main()
    assert progress == [step / 16 for step in range(16)]
    losses = [entry["train_loss"] for entry in trainer.state.log_history if "train_loss" in entry]
    assert losses and 0 < losses[0] < 4


@pytest.mark.filterwarnings("ignore")
@pytest.mark.exhaustive
def test_the_trainer_with_ids(progress: list[float]) -> None:
    trainer = example("with_transformers_ids", "transformers", "accelerate").main(epochs=8)
    assert progress == [step / 64 for step in range(64)]
    averages = trainer.criterion.conditioner.state_dict()
    assert averages["conditioners.1.seen"].all()
    # What the last epochs saw, each where it belongs: the margins of now, or nearly.
    words = trainer.train_dataset.words
    with torch.no_grad():
        logits = trainer.model.eval()(input_ids=words).logits
    margins = Margin()(logits, words[:, 0]).squeeze(1)
    remembered = averages["conditioners.1.memory"].squeeze(1)
    assert torch.corrcoef(torch.stack([margins, remembered]))[0, 1] > 0.5
    losses = [log["eval_loss"] for log in trainer.state.log_history if "eval_loss" in log]
    assert len(losses) == 8 and losses[-1] < losses[0]
    plain = torch.nn.functional.cross_entropy(logits[:64], words[:64, 0])
    assert losses[-1] == pytest.approx(plain.item(), rel=0.2)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.exhaustive
def test_timm() -> None:
    module = example("with_timm", "timm")
    for train in (module.use_one, module.learn_one):
        model = train(epochs=3).eval()
        ((images, labels),) = [next(iter(module.loader(128, 4)))]
        right = (model(images).argmax(dim=1) == labels).double().mean()
        assert right > 0.5, train


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore")
def test_learn2learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = example("with_learn2learn", "learn2learn")
    images = module.digits().train
    samples = torch.utils.data.TensorDataset(images.images / 16, images.targets)
    inputs, labels = module.noisy_tasks(samples)[0]
    assert inputs.shape == (100, 1, 8, 8)
    assert labels.unique().tolist() == [0, 1, 2, 3, 4]
    assert len(labels.bincount().unique()) > 1  # some moved to another class
    # Three epochs, not twenty: the tasks are what is learn2learn's.
    monkeypatch.setattr(module, "Recipe", lambda epochs, **how: Recipe(epochs=3, **how))
    module.main(samples, tmp_path / "run")
    learned = metaloss.from_pretrained(tmp_path / "run/A-GCE/seed-0/adjuster")
    assert len(learned.adjuster.adjusters) == 3


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("with_lightning", "lightning"),
        ("with_accelerate", "accelerate"),
        ("with_transformers", "transformers"),
        ("with_transformers_ids", "transformers"),
    ],
)
def test_an_example_runs_by_itself(
    name: str, needs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(needs)
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("name", "launcher"),
    [
        ("with_ddp", ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]),
        ("with_fabric", []),
    ],
)
def test_scripts_of_several_processes(name: str, launcher: list[str]) -> None:
    ended = subprocess.run(
        [sys.executable, *launcher, str(EXAMPLES / f"{name}.py")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found = [float(word[:-1]) for word in ended.stdout.split() if word.endswith("%")]
    assert len(set(found)) == 1  # the same on every process
    assert found[0] > 88
