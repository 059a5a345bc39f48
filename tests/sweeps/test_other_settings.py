"""A sweep's folder and other settings: a run goes on, or counts as finished, with its own alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaloss.config import configuration
from metaloss.config.settings import other_setting
from metaloss.sweeps import Local, Sweep
from tests.experiments.runs import Stop
from tests.sweeps.grids import CE, grid

FILES = ["experiments/smoke_digits.gin", "losses/gce.gin"]
A_GCE = "experiments.Experiment.methods = [@a_gce/experiments.Adjusted()]"


def text(*bindings: str, files: tuple[str, ...] = ()) -> str:
    """Return the configuration of a run of A-GCE."""
    with configuration([*FILES, *files], [A_GCE, *bindings]) as parsed:
        return parsed.text


@pytest.mark.parametrize(
    ("binding", "said"),
    [
        ("LR = 0.001", "torch.optim.SGD.lr 0.001, got 0.1"),
        ("WEIGHT_DECAY = 0.0", "torch.optim.SGD.weight_decay 0.0, got 0.0005"),
        ("optim.SGD.nesterov = True", "torch.optim.SGD.nesterov True, got nothing"),
        ("META_LR = 0.1", "torch.optim.Adam.lr 0.1, got 0.001"),
        ("MILESTONES = (1,)", "torch.optim.lr_scheduler.MultiStepLR.milestones (1,), got ()"),
        ("GAMMA = 0.5", "torch.optim.lr_scheduler.MultiStepLR.gamma 0.5, got 0.1"),
        (
            "adjusters.Adjuster.initial = 'defaults'",
            "metaloss.adjusters.Adjuster.initial 'defaults', got 'middle'",
        ),
        (
            "tasks.classification_task.augment = @tasks.Augment",
            "metaloss.tasks.classification_task.augment @metaloss.tasks.Augment, got nothing",
        ),
        (
            "tasks.classification_task.meta_batch_size = 7",
            "metaloss.tasks.classification_task.meta_batch_size 7, got nothing",
        ),
        (
            "CLIP = @bilevel.ClipNorm()\nbilevel.ClipNorm.max_norm = 1.0",
            "metaloss.bilevel.ClipNorm.max_norm 1.0, got nothing",
        ),
    ],
)
def test_other_settings_are_told(binding: str, said: str) -> None:
    differs = other_setting(text(), text(*binding.split("\n")), "Experiment")
    assert differs is not None
    assert differs == f"expected {said}"


def test_what_may_differ_is_not_told(tmp_path: Path) -> None:
    used = ["DEVICE = 'cpu'", "THREADS = 2", "SEEDS = (0,)"]
    reading = ["tasks.own_data.workers = 3", f"tasks.own_data.data = '{tmp_path}'"]
    data = ("tasks/own_data.gin",)
    begun = ["NUM_CLASSES = 2", "DATA = '/gone'", "tasks.own_data.workers = 0"]
    before = text(*begun, files=data)
    now = text(*begun, *used, *reading, files=(*data, "engines/fabric.gin"))
    assert other_setting(before, now, "Experiment") is None
    elsewhere = text(*begun, "DATA = '/nowhere'", files=data)
    assert other_setting(before, elsewhere, "Experiment") is not None  # nothing is there to compare


def test_what_is_not_used_is_not_told() -> None:
    unused = ["gce/experiments.Conventional.name = 'other'", "experiments.Comparison.tasks = []"]
    other = text(*unused, files=("losses/js.gin", "tasks/corruption_shifted.gin"))
    assert other_setting(text(), other, "Experiment") is None


@pytest.mark.parametrize("stop", [True, False])
def test_a_run_of_other_settings_is_refused_by_name_and_kept(tmp_path: Path, stop: bool) -> None:
    one = grid({"CE": CE}, seeds=(0,), bindings=["EPOCHS = 2"])
    only = {"noise": ["20%"]}
    first = Sweep(one, tmp_path / "out", only=only)
    if stop:
        with pytest.raises(KeyboardInterrupt):
            first.run(Local(Stop(1)))
    else:
        first.run(Local())
    files = [path for path in (tmp_path / "out").rglob("*.*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    other = Sweep(one, tmp_path / "out", ["LR = 0.001"], only=only)
    (failed,) = other.run(Local())
    assert "another run was begun here: expected torch.optim.SGD.lr 0.001, got 0.1" in failed.error
    assert other.table() is None
    assert {path: path.read_bytes() for path in before} == before
    again = Sweep(one, tmp_path / "out", ["DEVICE = 'cpu'"], only=only)
    assert again.run(Local()) == []
    assert again.table() is not None
