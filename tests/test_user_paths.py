"""``~`` stands for the home folder in every path that a person gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import metaloss
from metaloss import AdjustedLoss, Adjuster, InputError
from metaloss.bench.results import Results
from metaloss.conditioners import Margin
from metaloss.config import find
from metaloss.diagnostics import Learned, draw_learned
from metaloss.diagnostics.gradients.report import Document
from metaloss.experiments import RunFolder, transferred
from metaloss.files import user_path
from metaloss.losses import GCE
from metaloss.pretrained import add_to_card, load_adjuster, save_adjuster
from metaloss.pretrained.card import fingerprint
from metaloss.tasks import (
    NoisyLabels,
    cifar10,
    cifar100,
    classification_task,
    digits,
    fashion_mnist,
)
from metaloss.tasks import noise as noises


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_other_paths_stay_as_they_are() -> None:
    for path in ("a/b", "/a/~", "a~", "~nobody-of-this-name/a"):
        assert user_path(path) == Path(path)


def test_runs_and_configurations(home: Path) -> None:
    folder = RunFolder("~/runs/first")
    folder.write("config.gin", "")
    assert (home / "runs/first/config.gin").is_file()
    assert find("~/runs/first/config.gin") == home / "runs/first/config.gin"


def test_adjusters(home: Path) -> None:
    criterion = AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin()))
    save_adjuster("~/run/A-GCE/adjuster", criterion)
    add_to_card("~/run/A-GCE/adjuster", {"source": "a test"})
    assert (home / "run/A-GCE/adjuster/card.json").is_file()
    for load in (load_adjuster, metaloss.from_pretrained):
        assert load("~/run/A-GCE/adjuster").loss == GCE()
    place = home / "run/A-GCE/adjuster"
    assert fingerprint("~/run/A-GCE/adjuster") == fingerprint(place)
    here, there = (transferred(adjusters=[p]) for p in ("~/run/A-GCE/adjuster", str(place)))
    assert [method.name for method in here] == [method.name for method in there]


def test_noise(home: Path) -> None:
    targets = digits().train.targets
    noisy = noises.symmetric(targets, 0.4, 10, torch.Generator().manual_seed(0))
    noisy.save("~/noise/labels.safetensors")
    assert (home / "noise/labels.safetensors").is_file()
    assert NoisyLabels.load("~/noise/labels.safetensors").digest == noisy.digest
    file = "~/noise/labels.safetensors"
    assert classification_task(data=digits, noise_file=file, num_meta=100, num_test=9).noise


@pytest.mark.parametrize("read", [fashion_mnist, cifar10, cifar100])
def test_data(home: Path, read) -> None:
    with pytest.raises(InputError, match=f"^{home}/data/"):
        read("~/data")


def test_reports_and_pictures(home: Path) -> None:
    Results(machine={}, versions={}, settings={}, rows=[]).write("~/bench.json")
    Document("~/check.json").write()
    for name in ("bench.json", "check.json"):
        json.loads((home / name).read_text())
    samples = {"margin": torch.randn(50), "hparams": torch.rand(50, 1)}
    draw_learned([Learned("GCE", AdjustedLoss.fixed(GCE()), samples)], "~/learned.png")
    assert (home / "learned.png").is_file()
