"""What is chosen for a data set."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

import metaloss
from metaloss.checks import InputError
from metaloss.fitting.choices import Options, choose
from metaloss.fitting.facts import Facts
from metaloss.fitting.gin_lines import gin_run

PHOTOS = Facts(samples=1000, classes=6, clean=60, has_test=False, files=True)
TABLE = Facts(samples=150, classes=3, clean=0, has_test=False, files=False, shape=(4,))
DIGITS = Facts(
    samples=60_000, classes=10, clean=0, has_test=True, files=False, shape=(1, 28, 28), grey=True,
    bytes=True,
)  # fmt: skip


def test_photos_without_options() -> None:
    made = choose(PHOTOS, Options())
    assert (made.model, made.size, made.channels, made.flip) == ("small_cnn", 32, 3, True)
    assert made.held_out == 100
    assert made.batch_size == 32 and made.meta_batch_size == 60
    steps = made.epochs * (900 // 32)
    assert 1500 < steps < 2500
    assert steps / made.meta_every >= 1000


def test_pretrained_weights_are_trained_less_on_larger_images() -> None:
    made = choose(PHOTOS, Options(weights="DEFAULT"))
    assert (made.model, made.size, made.weights) == ("resnet18", 224, "DEFAULT")
    assert made.epochs < choose(PHOTOS, Options()).epochs


def test_rows_of_numbers_have_no_images() -> None:
    made = choose(TABLE, Options())
    assert (made.model, made.size, made.flip, made.meta_every) == ("mlp", None, None, 0)
    assert made.held_out == 30
    assert {choice.what for choice in made.said} == {
        "loss", "held-out samples", "network", "batch size", "epochs",
    }  # fmt: skip


def test_test_samples_are_not_held_out() -> None:
    made = choose(DIGITS, Options())
    assert made.held_out is None and made.channels == 1 and made.flip is False
    assert made.epochs == 20


def test_small_images_keep_their_size_and_large_sets_stay_in_files() -> None:
    assert choose(replace(PHOTOS, one_size=28), Options()).size == 28
    assert choose(replace(PHOTOS, one_size=200), Options()).size == 32
    assert choose(PHOTOS, Options()).in_memory
    assert not choose(replace(PHOTOS, samples=10**6), Options(size=224)).in_memory


def test_grey_images_that_stay_in_files_are_read_in_colour() -> None:
    grey = replace(PHOTOS, grey=True)
    assert choose(grey, Options()).channels == 1
    assert choose(replace(grey, samples=10**7), Options(size=64)).channels == 3


@pytest.mark.parametrize("samples", [1_000, 1_000_000])
@pytest.mark.parametrize("processors", [1, 64])
def test_workers_read_what_stays_in_files_as_many_on_any_machine(
    samples: int, processors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: processors)
    facts = replace(PHOTOS, samples=samples)
    lines = gin_run(facts, choose(facts, Options(size=224)), {"DATA": "data"}).bindings
    large = samples == 1_000_000
    assert ("IN_MEMORY = False" in lines) == large
    assert [line for line in lines if line.startswith("WORKERS")] == ["WORKERS = 4"] * large


def test_what_was_said_is_taken_and_shown() -> None:
    options = Options(
        model="resnet8", size=40, epochs=3, batch_size=8, meta_every=4, held_out=50, flip=False
    )
    made = choose(PHOTOS, options)
    for name in ("model", "size", "epochs", "batch_size", "meta_every", "held_out", "flip"):
        assert getattr(made, name) == getattr(options, name)
    assert {choice.why for choice in made.said if choice.what != "loss"} == {"as you said"}


def test_two_samples_a_class_are_trained_on_before_any_is_held_out() -> None:
    made = choose(replace(TABLE, samples=6), Options())
    assert made.held_out == 0
    assert made.said[1].why == "too few samples: the figures are those of the training samples"
    assert choose(replace(TABLE, samples=7), Options()).held_out == 1


@pytest.mark.parametrize(
    ("facts", "options", "words"),
    [
        (TABLE, {"size": 8}, "--size: expected none for samples that are no image files, got 8"),
        (
            TABLE,
            {"flip": True},
            "--flip: expected uint8 images or image files",
        ),
        (DIGITS, {"held_out": 9}, "--held-out: expected none, since there are test samples, got 9"),
        (PHOTOS, {"batch_size": 5000}, "--batch-size: expected at most 900"),
        (PHOTOS, {"held_out": 995}, "at least 12 samples to train on.*995 of which are held out"),
        (PHOTOS, {"weights": "x.pth", "model": "resnet8"}, "--weights: expected images and a"),
        (TABLE, {"weights": "DEFAULT"}, "--weights: .* got rows of numbers"),
        (replace(TABLE, samples=5), {}, "at least 6 samples"),
    ],
)
def test_choices_that_do_not_fit(facts: Facts, options, words: str) -> None:
    with pytest.raises(InputError, match=words):
        choose(facts, Options(**options))


@pytest.mark.bad_input  # NumPy's numbers are no int for a type checker
def test_numbers_of_numpy_become_pythons() -> None:
    assert repr(Options(epochs=np.int64(3)).epochs) == "3"


@pytest.mark.parametrize("name", ["size", "epochs", "batch_size", "meta_every"])
def test_numbers_that_are_no_numbers(name: str) -> None:
    with pytest.raises(InputError, match=f"--{name.replace('_', '-')}: expected a whole number"):
        Options(**{name: 0})


def test_held_out_samples_leave_some_of_each_class() -> None:
    labels = np.repeat(np.arange(50), 3)
    points = np.random.default_rng(0).normal(size=(150, 2))
    fitted = metaloss.fit(points, labels, epochs=1)  # 30 are held out
    with (fitted.folder / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    left = np.bincount([labels[int(row["id"])] for row in rows if row["held_out"] != "yes"])
    assert left.sum() == 120 and left.min() == 2
