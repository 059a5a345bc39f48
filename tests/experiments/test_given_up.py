"""The warning about classes that a loss has given up."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from metaloss.experiments import Conventional, Experiment, RunFolder, RunSettings
from metaloss.experiments.warnings.given_up import given_up
from metaloss.losses import GCE
from metaloss.tasks import classification_task, digits, noise
from metaloss.training import Recipe
from tests.experiments.runs import Remarks

NAMES = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "imp")


def samples(*fitted: int, each: int = 100) -> dict[str, Tensor]:
    """As many samples of each class, so many of which are predicted as labelled."""
    targets = torch.arange(len(fitted)).repeat_interleave(each)
    places = torch.arange(each).repeat(len(fitted))
    fits = places < torch.tensor(fitted).repeat_interleave(each)
    return {"targets": targets, "margin": fits.double() - 0.5}


def about(*fitted: int, each: int = 100, steps: int = 100, warmup: int = 0) -> str:
    lines = given_up(samples(*fitted, each=each), NAMES[: len(fitted)], steps, warmup)
    return "\n".join(lines)


def test_classes_of_which_some_samples_are_predicted_are_not_given_up() -> None:
    assert about(100, 60, 2) == ""


def test_one_class() -> None:
    assert about(100, 60, 0).startswith(
        "'cat': expected some of its 100 training samples to be predicted as labelled, got none: "
        "the loss has given it up"
    )
    assert "got 1: " in about(100, 60, 1)  # one in a hundred may be chance


def test_several_classes_are_named_or_counted() -> None:
    assert about(0, 60, 0, 50).startswith("'ant', 'cat': expected some of their 200 training")
    assert about(0, 0, 0, 0, 9, 9, 9, 9).startswith(
        "'ant', 'bee', 'cat' and 1 more: expected some of their 400 training"
    )


def test_advice_depends_on_the_warm_up_that_was_tried() -> None:
    assert "before the loss begins (gin: WARMUP_EPOCHS = 3;" in about(100, 60, 0)
    assert "wrong. Use SL, which gives up fewer, or more than 3 epochs of warm-up" in about(
        100, 60, 0, warmup=3
    )


def test_a_network_that_has_not_learned_yet_has_given_nothing_up() -> None:
    assert about(0, 0, 100) == ""
    assert about(0, 100) != ""  # half of the classes
    assert about(0, 100, steps=99) == ""


def test_a_class_of_a_few_samples_may_be_missed_by_chance() -> None:
    assert about(9, 9, 0, each=19) == ""
    assert about(9, 9, 0, each=20) != ""


def test_ignored_labels_and_values_count_nowhere() -> None:
    found = samples(100, 100, 0)
    found["targets"][found["targets"] == 2] = -100
    assert given_up(found, NAMES[:3], 100, 0) == []
    assert given_up({"residual": torch.ones(30), "targets": torch.ones(30, 1)}, (), 100, 0) == []


class NeverThree(nn.Module):
    """A linear network that has to learn against a low logit of the class 3."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.flatten(1)) - 8.0 * (torch.arange(10) == 3)


def test_a_run_says_so_and_keeps_it(tmp_path: Path) -> None:
    run = Experiment(
        task=partial(
            classification_task,
            data=digits,
            noise=partial(noise.symmetric, rate=0.4),
            num_meta=0,
            num_test=360,
        ),
        model=NeverThree,
        methods=[
            Conventional(name="forgiving", loss=GCE(), values={"q": 1.0}),
            Conventional(name="strict", loss=GCE(), values={"q": 0.0}),
        ],
        recipe=Recipe(epochs=8, evaluate_last=1),
        settings=RunSettings(last=1, device="cpu"),
    )
    listen = Remarks()
    run.run(RunFolder(tmp_path / "run"), listen)
    (line,) = listen.lines
    assert line.startswith("forgiving, seed 0: '3': expected some of its ")
    kept = [
        json.loads((tmp_path / "run" / name / "seed-0/result.json").read_text()).get("warnings")
        for name in ("forgiving", "strict")
    ]
    assert kept == [[line.removeprefix("forgiving, seed 0: ")], None]
