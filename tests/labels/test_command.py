"""`metaloss labels` on real runs: what it writes and prints, and what it refuses."""

from __future__ import annotations

import html
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from metaloss.checks import InputError
from metaloss.labels import Choice, FinishedRun, assess, detection, judge_run, read_run
from tests.labels.runs import CE, invoke, refusal, rows_of, train


def files_in(place: Path) -> set[Path]:
    return {path for path in place.rglob("*") if path.is_file()}


def test_wrong_labels_of_digits_come_first(noisy: Path) -> None:
    done = invoke("labels", noisy)
    assert done.exit_code == 0, done.output
    run = read_run(noisy)
    rows = rows_of(noisy / "labels.csv")
    at = {name: position for position, name in enumerate(run.task.train_ids)}  # type: ignore[attr-defined]
    assert len(at) == 1337 and {row["id"] for row in rows} == set(at)
    flipped, labels = run.task.flipped, run.task.train_targets
    assert flipped is not None
    scores = torch.tensor([float(row["score"]) for row in rows], dtype=torch.float64)
    assert (scores.diff() >= 0).all()
    ids = torch.tensor([at[row["id"]] for row in rows])
    assert [row["given_label"] for row in rows] == [str(int(labels[i])) for i in ids]
    found = detection(scores, flipped[ids])
    assert found is not None and found.auroc > 0.95 and found.average_precision > 0.93
    assert (noisy / "labels.png").read_bytes().startswith(b"\x89PNG")
    for words in ("1337 samples", "known to be wrong 40.7%", "combined *", "weight"):
        assert words in done.output
    assert f"labels: {noisy}/labels.csv" in done.output.replace("\n", "")


def page_of(place: Path) -> Path:
    """Give a run a page; tests of other things draw none."""
    (place / "report.html").write_text('<meta name="folders" content="1">')
    return place / "report.html"


@pytest.mark.drawn
def test_the_page_is_written_again_with_the_most_doubtful(noisy: Path) -> None:
    page_of(noisy)
    done = invoke("labels", noisy, "--top", 3)
    assert done.exit_code == 0, done.output
    assert done.output.replace("\n", "").endswith(f"report: {noisy}/report.html")
    with Image.open(noisy / "labels.png") as sheet:
        assert sheet.size[0] > 1000
    page = (noisy / "report.html").read_text()
    kept = json.loads((noisy / "labels.json").read_text())
    assert kept["about"] == "GCE, seed 0; ranked by combined"
    rows = rows_of(noisy / "labels.csv")
    assert page.count("<img") == page.count('<img src="data:image/png;base64,') == 24
    for sample, row in zip(kept["samples"], rows, strict=False):
        assert sample["picture"] in page
        own = row["id"], row["given_label"], row["suggested_label"]
        assert (sample["name"], sample["given"], sample["suggested"]) == own
        assert sample["score"] == pytest.approx(float(row["score"]), rel=1e-5)


def test_a_page_that_fails_does_not_fail_the_command(
    noisy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no\nroom")

    monkeypatch.setattr(judge_run, "write_again", broken)
    done = invoke("labels", noisy)
    assert done.exit_code == 0 and "picture: " in done.stdout
    assert done.stderr == "warning: the report could not be written: no room\n"


def test_the_rate_is_nearly_right_and_the_suggestions_help(noisy: Path) -> None:
    run = read_run(noisy)
    found = assess(run.probabilities, run.labels)
    assert found.noise.rate == pytest.approx(0.407, abs=0.12)
    noise = run.task.noise  # type: ignore[attr-defined]
    right = (found.suggested == noise.original[run.index])[noise.flipped[run.index]]
    assert right.float().mean() > 0.6


def test_another_file_and_another_score(noisy: Path, tmp_path: Path) -> None:
    place = tmp_path / "doubtful.csv"
    words = ("--score", "self-confidence", "--out", place, "--top", 0)
    done = invoke("labels", noisy, "--method", "GCE", "--seed", 0, *words)
    assert done.exit_code == 0, done.output
    run = read_run(noisy)
    p = run.probabilities.gather(1, run.labels[:, None]).squeeze(1)
    first = rows_of(place)[0]
    assert first["id"] == run.ids[int(p.argmin())]
    assert files_in(tmp_path) == {place}


def test_without_the_truth_nothing_is_compared(quick: Path) -> None:
    done = invoke("labels", quick)
    assert done.exit_code == 0, done.output
    assert "AUROC" not in done.output and "known" not in done.output
    assert "estimated rate of wrong labels" in done.output
    assert len(rows_of(quick / "labels.csv")) == 1337
    assert read_run(quick).flipped is None and read_run(quick).weights is None


def test_a_run_without_margins(quick: Path, tmp_path: Path) -> None:
    place = shutil.copytree(quick, tmp_path / "run")
    (place / "CE/seed-0/margins.safetensors").unlink()
    done = invoke("labels", place)
    assert done.exit_code == 0 and "ranked by normalized-margin" in done.output
    done = invoke("labels", place, "--score", "area-under-margin")
    assert isinstance(done.exception, InputError)
    assert "this run has no data for it" in str(done.exception)


CLASSES = ('cat, "black"', "Käfer")


def test_files_are_named_and_odd_class_names_read_back(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for part, count in (("train", 12), ("test", 3)):
        for brightness, name in zip((0, 150), CLASSES, strict=True):
            folder = tmp_path / "data" / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = draw.integers(brightness, brightness + 100, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}, ü.png")
    config = tmp_path / "files.gin"
    config.write_text(
        "from __gin__ import dynamic_registration\n"
        "from metaloss import experiments\nfrom metaloss import tasks\n"
        "include 'tasks/image_folder.gin'\ninclude 'models/small_cnn.gin'\n"
        "include 'runs/sgd.gin'\ninclude 'losses/ce.gin'\n"
        f"DATA = {str(tmp_path / 'data')!r}\nNUM_CLASSES = 2\nSIZE = 8\nEPOCHS = 1\n"
        "tasks.classification_task.data = @tasks.image_files\n"
        "tasks.image_files.root = %DATA\ntasks.image_files.size = %SIZE\n"
        "tasks.classification_task.num_meta = 0\ntasks.classification_task.augment = None\n"
        f"tasks.classification_task.batch_size = 4\n{CE}\n",
        encoding="utf-8",
    )
    place = train(tmp_path / "run", config)
    page = page_of(place)
    done = invoke("labels", place, "--top", 5)
    assert done.exit_code == 0, done.output
    rows = rows_of(place / "labels.csv")
    assert len(rows) == 24
    for row in rows:
        assert Path(row["path"]).is_file()
        assert Path(row["path"]).parent.name == row["given_label"]
        assert row["suggested_label"] in CLASSES
    assert (place / "labels.png").is_file()
    text = page.read_text()
    assert text.count('<img src="data:image/png;base64,') == 24
    assert f'title="{html.escape(rows[0]["path"])}">file: ' in text


def test_an_image_that_the_page_alone_needs_may_be_missing(tmp_path: Path, quick: Path) -> None:
    place = shutil.copytree(quick, tmp_path / "run")
    page = page_of(place)

    def gone(*_: object) -> None:
        raise InputError("gone")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge_run, "images_of", gone)
        assert invoke("labels", place, "--top", 0).exit_code == 0
        assert isinstance(invoke("labels", place, "--top", 1).exception, InputError)
    text = page.read_text()
    assert "Most doubtful labels" in text and "<img" not in text


def test_foreign_and_unfinished_folders_are_refused(quick: Path, tmp_path: Path) -> None:
    assert "expected the folder of a run of `metaloss fit` or `metaloss train`" in refusal(tmp_path)
    assert "with its config.gin" in refusal(tmp_path / "nowhere")
    assert "with its config.gin" in refusal(quick / "CE/seed-0")
    place = shutil.copytree(quick, tmp_path / "run", ignore=shutil.ignore_patterns("labels.*"))
    before = files_in(place)
    (place / "CE/seed-0/result.json").rename(tmp_path / "result.json")
    assert "got one that is not finished" in refusal(place)
    (tmp_path / "result.json").rename(place / "CE/seed-0/result.json")
    for words, message in (
        (("--method", "GCE"), "method: expected one of CE, got 'GCE'"),
        (("--seed", 1), "seed: expected one of 0, got 1"),
        (("--task", "digits"), "task: expected none"),
        (("--score", "weight"), "got 'weight'; this run has no data for it"),
        (("--score", "best"), "got 'best'"),
        (("--top", -1), "top: expected a whole number of at least 0"),
    ):
        assert message in refusal(place, *words)
    config = place / "config.gin"
    text = config.read_text().replace("num_test = 360", "num_test = 361")
    config.write_text(text)
    assert "expected the training labels of the run, got others" in refusal(place)
    assert files_in(place) == before


def test_places_where_no_file_can_be_are_refused_before_any_work(
    quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge_run, "read_run", lambda *_: pytest.fail("worked"))
    for place, message in (
        (tmp_path / "a.png", "out: expected the name of a CSV file"),
        (tmp_path, "out: expected the name of a file, got the folder"),
        (tmp_path / "no" / "a.csv", "out: expected a file in a folder that exists"),
        (tmp_path / "mine.csv", "mine.csv: expected a list of labels, to be written again"),
    ):
        (tmp_path / "mine.csv").write_text("my,data\n1,2\n")
        assert message in refusal(quick, "--out", place)
    assert (tmp_path / "mine.csv").read_text() == "my,data\n1,2\n"


def test_nothing_is_left_where_a_file_cannot_be_written(quick: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    done = invoke("labels", quick, "--out", tmp_path / "a.csv")
    assert isinstance(done.exception, OSError)
    assert [path.name for path in tmp_path.iterdir()] in (["a.png"], ["a.png", "a.csv"])
    assert not list(tmp_path.glob(".*"))


def test_regression_is_refused(tmp_path: Path) -> None:
    only = "experiments.Experiment.methods = [@l2/experiments.Conventional()]"
    place = train(
        tmp_path / "run", "experiments/diabetes.gin", only, "EPOCHS = 2", "MILESTONES = ()"
    )
    for words in ((), ("--folds", 2)):
        assert "expected a run of classification" in refusal(place, *words)
    assert not (place / "labels.csv").exists() and not (place / "folds").exists()


def test_one_task_of_a_comparison(tmp_path: Path) -> None:
    place = tmp_path / "run"
    only = "experiments.Comparison.methods = [@gce/experiments.Conventional()]"
    rates = ("SYMMETRIC_RATES = (0.4,)", "ASYMMETRIC_RATES = (0.4,)", "META_EVERY = 2")
    more = ["models/mlp.gin", "losses/gce.gin"]
    train(place, "experiments/study_digits.gin", only, *rates, "EPOCHS = 2", files=more)
    names = {}
    for task in (None, "asymmetric-0.4"):
        run = read_run(place, Choice(task=task))
        assert isinstance(run, FinishedRun)
        names[task] = run.folder.name
    assert len(set(names.values())) == 2
    done = invoke("labels", place, "--task", "asymmetric-0.4")
    assert done.exit_code == 0, done.output
    assert (place / names["asymmetric-0.4"] / "labels.csv").is_file()
    assert "task: expected one of" in refusal(place, "--task", "nope")
