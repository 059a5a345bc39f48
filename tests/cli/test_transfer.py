"""Meta-training and transfer as a user types them."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import metaloss
from metaloss import InputError
from metaloss.cli import app
from metaloss.experiments import transferred

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
TUTORIAL = EXAMPLES / "tutorial"
FOLDERS = EXAMPLES / "folders"

QUICK = ["--gin_param", "EPOCHS = 1", "--gin_param", "MILESTONES = ()"]
FEW = ["--gin_param", "tasks.classification_task.subset = 200"]
DIGITS = ["experiments/demo.gin", *QUICK, *FEW, "--gin_param", "SEEDS = (0, 1)"]
ONE = ["--gin_param", "experiments.MetaTraining.methods = [@a_gce/experiments.Adjusted()]"]


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the shipped meta-training, cut short."""
    out = tmp_path_factory.mktemp("meta") / "run"
    shown = run("train", "experiments/meta_digits.gin", *QUICK, *FEW, *ONE, "--out", str(out))
    assert "A-GCE" in shown
    assert "transferred" in shown
    return out


def test_meta_training_writes_adjusters_and_a_report(learned: Path) -> None:
    card = json.loads((learned / "A-GCE/seed-0/adjuster/card.json").read_text())
    assert set(card["about"]["tasks"]) == {
        f"{noise}-{rate}"
        for noise in ("symmetric", "asymmetric", "instance")
        for rate in (0.2, 0.4, 0.6)
    }
    defaults = (learned / "operative.gin").read_text()  # as well as what the files bind
    assert "Recipe.meta_schedule = None" in defaults
    rows = json.loads((learned / "held-out" / "results.json").read_text())["rows"]
    assert [row["method"] for row in rows] == ["CE", "GCE", "transferred A-GCE"]
    assert list(rows[0]["tasks"]) == [
        f"held-out-{noise}-{rate}" for noise in ("symmetric", "group") for rate in (0.3, 0.5)
    ]


def test_transfer_of_what_was_learned(learned: Path, tmp_path: Path) -> None:
    out, adjuster = tmp_path / "out", learned / "A-GCE/seed-0/adjuster"
    shown = run("transfer", *DIGITS, "--adjuster", str(adjuster), "--out", str(out))
    assert "T-A-GCE-seed-0" in shown
    (row,) = json.loads((out / "results.json").read_text())["rows"]
    assert row["method"] == "T-A-GCE-seed-0"
    assert row["seeds"] == [0, 1]
    metrics = (out / "T-A-GCE-seed-0/seed-0/metrics.jsonl").read_text().splitlines()
    assert {json.loads(line)["meta_step"] for line in metrics} == {0}


@pytest.mark.exhaustive
def test_transfer_by_name_beside_what_it_is_compared_with(tmp_path: Path) -> None:
    out = tmp_path / "out"
    names = ["--adjuster", "gce-fashion-mnist-context", "--adjuster", "js-fashion-mnist-context"]
    run("transfer", *DIGITS, *names, "--compare", "--out", str(out))
    rows = json.loads((out / "results.json").read_text())["rows"]
    assert [row["method"] for row in rows] == [
        "CE",
        "GCE",
        "JS",
        "T-gce-fashion-mnist-context",
        "T-js-fashion-mnist-context",
    ]


def test_adjusters_of_two_runs_are_told_apart(learned: Path, tmp_path: Path) -> None:
    shutil.copytree(learned / "A-GCE", tmp_path / "other" / "A-GCE")
    folders = [str(run / "A-GCE/seed-0/adjuster") for run in (learned, tmp_path / "other")]
    names = [method.name for method in transferred(adjusters=folders)]
    assert names == ["T-run-A-GCE-seed-0", "T-other-A-GCE-seed-0"]
    with pytest.raises(InputError, match="adjusters: expected different ones"):
        transferred(adjusters=folders[:1] * 2)


@pytest.mark.exhaustive
def test_a_transfer_says_which_adjusters_it_was_of(
    learned: Path, tmp_path_factory: pytest.TempPathFactory, refused: Callable[..., str]
) -> None:
    place = tmp_path_factory.mktemp("said")
    out, ours = place / "out", learned / "A-GCE/seed-0/adjuster"
    other = place / "other/A-GCE/seed-0/adjuster"
    shutil.copytree(ours, other)
    asked = ["--compare", "--strength", "0.5", "--out", str(out)]
    run("transfer", *DIGITS, "--adjuster", str(ours), *asked)
    # Both are T-A-GCE-seed-0: without the check, the one's figures would be taken for the other's.
    message = refused("transfer", *DIGITS, "--adjuster", str(other), *asked, "--resume")
    assert "expected the configuration that the run was started with" in message
    again = place / "again"
    run("train", str(out / "config.gin"), "--out", str(again))
    rows = [json.loads((folder / "results.json").read_text())["rows"] for folder in (out, again)]
    assert [row["method"] for row in rows[0]] == ["CE", "GCE", "T-A-GCE-seed-0"]
    assert [row["accuracy_mean"] for row in rows[0]] == [row["accuracy_mean"] for row in rows[1]]


def test_transfer_needs_no_clean_samples(tmp_path: Path) -> None:
    none = ["--gin_param", "tasks.classification_task.num_meta = 0"]
    run(
        "transfer",
        *DIGITS,
        *none,
        "--adjuster",
        "gce-fashion-mnist-context",
        "--out",
        str(tmp_path / "out"),
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--adjuster", "gce-imagenet"], "gce-imagenet: expected the folder of a saved adjuster"),
        (["--adjuster", "."], "expected a file of a learned adjuster, got nothing there"),
        (["--adjuster", ""], "expected the folder of a saved adjuster"),
        (["--adjuster", "gce-fashion-statistics"], "did you mean gce-fashion-mnist-statistics?"),
        (
            ["--adjuster", "gce-fashion-mnist-statistics", "--strength", "2"],
            "strength: expected a number in",
        ),
    ],
)
def test_an_adjuster_that_is_not_there(
    refused: Callable[..., str], arguments: list[str], message: str
) -> None:
    assert message in refused("transfer", DIGITS[0], *arguments)


def test_adjusters_are_not_put_on_the_tasks_that_they_are_learned_on(
    refused: Callable[..., str],
) -> None:
    asked = ["--adjuster", "gce-fashion-mnist-statistics", "--out", "out"]
    message = refused("transfer", "experiments/meta_digits.gin", *asked)
    assert "got one that meta-trains them" in message


@pytest.mark.exhaustive
def test_the_tutorial_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len((TUTORIAL / "brier.py").read_text().splitlines()) < 30
    monkeypatch.syspath_prepend(str(TUTORIAL))
    out = tmp_path / "out"
    shown = run("train", str(TUTORIAL / "brier.gin"), *QUICK, *FEW, "--out", str(out))
    assert "transferred A-Brier" in shown
    brier = importlib.import_module("brier")
    own = [brier.MarginAndEntropy, brier.TrustedBrier]
    criterion = metaloss.from_pretrained(out / "A-Brier/seed-0/adjuster", components=own)
    assert type(criterion.loss).__name__ == "TrustedBrier"
    assert criterion.adjuster.num_features == 2
    again = tmp_path / "again"
    files = ["--gin_file", str(TUTORIAL / "transfer.gin"), "--out", str(again)]
    adjuster = ["--adjuster", str(out / "A-Brier/seed-0/adjuster")]
    with pytest.raises(InputError, match=r"in a gin file experiments.transferred.components = \[@"):
        run("transfer", *DIGITS, *adjuster, "--out", str(tmp_path / "without"))
    assert "T-A-Brier-seed-0" in run("transfer", *DIGITS, *adjuster, *files)


def write_images(root: Path, classes: str, counts: dict[str, int]) -> None:
    """``root/{train,test}/CLASS/*.png``, 8x8."""
    draw = np.random.default_rng(0)
    for part, count in counts.items():
        for name in classes:
            folder = root / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number:03d}.png")


@pytest.mark.exhaustive
def test_from_images_of_ones_own_to_others(tmp_path: Path) -> None:
    clean, noisy = tmp_path / "clean", tmp_path / "noisy"
    write_images(clean, "abc", {"train": 20, "test": 4})
    write_images(noisy, "abcde", {"train": 12, "test": 4})
    learned, out = tmp_path / "learned", tmp_path / "out"
    changed = ["SIZE = 8", "SEEDS = (0,)"]
    changed += [
        f"tasks.classification_task.{size} = 10" for size in ("batch_size", "meta_batch_size")
    ]
    small = [word for binding in changed for word in ("--gin_param", binding)]
    few = ["--gin_param", "tasks.classification_task.num_meta = 30"]
    ours = [str(FOLDERS / "clean.gin"), "--gin_param", f"DATA = '{clean}'", *small, *few]
    run("train", *ours, *QUICK, "--out", str(learned))
    others = [str(FOLDERS / "noisy.gin"), "--gin_param", f"DATA = '{noisy}'", *small]
    adjuster = ["--adjuster", str(learned / "A-GCE/seed-0/adjuster"), "--compare"]
    run("transfer", *others, *QUICK, *adjuster, "--out", str(out))
    rows = json.loads((out / "results.json").read_text())["rows"]
    assert [row["method"] for row in rows] == ["CE", "GCE", "T-A-GCE-seed-0"]


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("binding", "message"),
    [
        ("ADJUSTERS = 'gce-cifar10-context'", "adjusters: expected a list of texts, got 'gce-"),
        ("COMPARE = 'yes'", "compare: expected True or False, got 'yes'"),
        ("STRENGTH = 'half'", "strength"),
    ],
)
def test_settings_of_the_wrong_kind(
    refused: Callable[..., str], binding: str, message: str
) -> None:
    name = ["--adjuster", "gce-cifar10-context"]
    words = ["experiments/transfer_digits.gin", *name, "--gin_param", binding, "--out", "out"]
    assert message in refused("transfer", *words)


@pytest.mark.parametrize("command", ["train", "check-grad"])
def test_a_task_alone_is_not_to_be_trained_on(command: str, refused: Callable[..., str]) -> None:
    message = refused(command, "experiments/transfer_digits.gin")
    assert "Comparison.methods: required, got nothing" in message
    assert "metaloss transfer CONFIG.gin --adjuster NAME" in message


def test_a_run_of_python_is_gone_on_with_in_python(
    tmp_path_factory: pytest.TempPathFactory, refused: Callable[..., str]
) -> None:
    run = tmp_path_factory.mktemp("python")
    (run / "A" / "seed-0").mkdir(parents=True)
    message = refused("train", "experiments/demo.gin", "--out", str(run), "--resume")
    assert "expected a run that was started from a gin file, got one from Python" in message
