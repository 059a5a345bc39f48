"""The command, from data to a classifier and a list of doubtful labels."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from metaloss.checks import InputError
from metaloss.cli import app
from metaloss.models import torchvision_model
from metaloss.predict import predict_run
from metaloss.tasks.own_data import own_data
from metaloss.tasks.own_parts import own_parts

FEW = ("--epochs", "2", "--batch-size", "8")


def run(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Two clouds of points, every fifth label wrong."""
    draw = np.random.default_rng(0)
    right = np.arange(80) % 2
    given = np.where(np.arange(80) % 5 == 0, 1 - right, right)
    points = draw.normal(size=(80, 2)) + 6 * right[:, None]
    lines = ["x,y,label,id"]
    for at, ((x, y), label) in enumerate(zip(points, given, strict=True)):
        lines.append(f"{x},{y},{'ab'[label]},row{at}")
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Dark and light images of several sizes, one grey and one damaged."""
    draw = np.random.default_rng(0)
    for at in range(24):
        label = at % 2
        pixels = draw.integers(0, 90, (20 + at, 30, 3), dtype=np.uint8) + 160 * label
        place = tmp_path / "photos" / ("dark", "light")[label] / f"{at}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(pixels.astype(np.uint8))
        (image.convert("L") if at == 3 else image).save(place)
    (tmp_path / "photos" / "dark" / "bad.jpg").write_bytes(b"no image")
    return tmp_path / "photos"


def test_a_table_without_clean_labels(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    said = run("fit", table, "--out", out, "--epochs", 10, "--baseline")
    assert "80 rows of 2 classes, none with a checked label" in said
    assert "held-out samples 16 for the figures" in said and "--held-out" in said
    assert "loss GCE adjusted as was learned elsewhere --clean" in said
    results = json.loads((out / "results.json").read_text())
    assert [row["method"] for row in results["rows"]] == ["CE", "recommended"]
    with (out / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 80 and [row["held_out"] for row in rows].count("yes") == 16
    doubtful = [int(row["id"].removeprefix("row")) for row in rows[:6]]
    assert sum(at % 5 == 0 for at in doubtful) >= 5
    assert (out / "config.gin").is_file()
    assert ": recommended, seed 0; ranked by" in run("labels", out)  # not the baseline


def test_rows_of_a_table_are_predicted_by_their_columns(table: Path, tmp_path: Path) -> None:
    run("fit", table, "--out", tmp_path / "run", "--epochs", 10)
    new = tmp_path / "new.csv"
    new.write_text("id;z;y;x\nleft;9;0.1;-0.2\nright;9;6.2;5.9\n")
    found = predict_run(tmp_path / "run", new)
    assert found.ids == ("left", "right")
    assert [found.class_names[label] for label in found.labels.tolist()] == ["a", "b"]
    new.write_text("x,y\n1,2\n,3\nnan,5\n4,7\n")
    found = predict_run(tmp_path / "run", new)
    assert found.ids == (0, 3) and [each.id for each in found.skipped] == [1, 2]
    new.write_text("x,y\n1,two\n")
    with pytest.raises(InputError, match="expected numbers in the columns of features"):
        predict_run(tmp_path / "run", new)
    new.write_text("x\n1\n")
    with pytest.raises(InputError, match="expected a header with the column 'y', got 'x'"):
        predict_run(tmp_path / "run", new)


def test_images_are_predicted_with_channels_first_last_or_without(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    x = draw.integers(0, 256, (40, 6, 6), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(40) % 2)
    run("fit", tmp_path / "a.npz", "--out", tmp_path / "run", *FEW)
    first, *others = (
        predict_run(tmp_path / "run", images).probabilities
        for images in (x[:, None], x, x[..., None])
    )
    assert all(first.equal(other) for other in others)


def test_the_configuration_is_run_again_by_train(table: Path, tmp_path: Path) -> None:
    listed = tmp_path / "clean.txt"
    listed.write_text("".join(f"row{at}\n" for at in range(80) if at % 5 and at > 50))
    run("fit", table, "--clean", listed, "--out", tmp_path / "a", *FEW)
    run("train", tmp_path / "a" / "config.gin", "--out", tmp_path / "b")
    rows = [json.loads((tmp_path / k / "results.json").read_text())["rows"] for k in "ab"]
    values = [row[0]["values"] for row in rows]
    assert values[0] == values[1]


def test_photos_with_clean_ones(photos: Path, tmp_path: Path) -> None:
    for at in range(4):
        place = tmp_path / "clean" / ("dark", "light")[at % 2] / f"{at}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (25, 25), (at * 60,) * 3).save(place)
    out = tmp_path / "run"
    said = run("fit", photos, "--clean", tmp_path / "clean", "--out", out, *FEW)
    assert "28 images of 2 classes, 4 with checked labels" in said
    assert "metaloss fit: --epochs" in said  # as so few meta steps teach little
    assert "1 of 25 images cannot be read and are left out" in said and "bad.jpg" in said
    assert (out / "labels.png").is_file()
    with (out / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {Path(row["path"]).name for row in rows} == {f"{at}.png" for at in range(24)}
    assert [row["held_out"] for row in rows].count("yes") == 4
    assert "24 samples, 4 of them held out" in said
    assert "NUM_CLEAN = 4" in (out / "config.gin").read_text()
    found = predict_run(out, photos)
    assert len(found.ids) == 24 and [each.id for each in found.skipped] == [
        str(photos / "dark" / "bad.jpg")
    ]


def test_damaged_images_do_not_count_in_what_is_chosen(photos: Path, tmp_path: Path) -> None:
    for at in range(60):
        (photos / "dark" / f"bad{at}.jpg").write_bytes(f"no image {at}".encode())
    said = run("fit", photos, "--out", tmp_path / "run", "--epochs", "1")
    assert "24 images of 2 classes" in said and "61 of 85 images cannot be read" in said
    assert "BATCH_SIZE = 5\n" in (tmp_path / "run" / "config.gin").read_text()


def rows_of(run: Path) -> list[dict[str, str]]:
    with (run / "labels.csv").open() as file:
        return list(csv.DictReader(file))


def write_right_labels(run: Path, right: Callable[[str], str], first: int) -> None:
    """Write right labels into the first lines of labels.csv that have none."""
    rows = rows_of(run)
    for row in [row for row in rows if not row["checked_label"]][:first]:
        row["checked_label"] = right(next(iter(row.values())))
    with (run / "labels.csv").open("w") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_labels_are_looked_at_and_given_back_twice(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def right(path: str) -> str:
        return ("dark", "light")[int(Path(path).stem) % 2]

    monkeypatch.chdir(tmp_path)
    run("fit", photos.name, "--out", "a", *FEW)
    write_right_labels(Path("a"), right, 4)
    checked = {row["path"] for row in rows_of(Path("a")) if row["checked_label"]}
    run("labels", "a")  # does not lose them
    assert {row["path"] for row in rows_of(Path("a")) if row["checked_label"]} == checked
    said = run("fit", photos.name, "--clean", "a/labels.csv", "--out", "b", *FEW)
    assert "24 images of 2 classes, 4 with checked labels" in said
    rows = rows_of(Path("b"))
    assert {row["path"] for row in rows[20:]} == checked and len(rows) == 24
    assert all(row["checked_label"] == right(row["path"]) and not row["score"] for row in rows[20:])
    write_right_labels(Path("b"), right, 2)
    said = run("fit", photos.name, "--clean", "b/labels.csv", "--out", "c", *FEW)
    assert "24 images of 2 classes, 6 with checked labels" in said


def test_further_clean_samples_are_not_in_the_list(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for name, count in (("a", 20), ("clean", 4)):
        np.savez(tmp_path / f"{name}.npz", x=draw.normal(size=(count, 3)), y=np.arange(count) % 2)
    clean = ("--clean", tmp_path / "clean.npz")
    run("fit", tmp_path / "a.npz", *clean, "--out", tmp_path / "run", "--epochs", 1)
    rows = rows_of(tmp_path / "run")
    assert sorted(int(row["id"]) for row in rows) == list(range(20))
    assert not any(row["checked_label"] for row in rows)


def test_pretrained_weights_from_a_file(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = torchvision_model("squeezenet1_1", 1000)
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    out = tmp_path / "run"
    monkeypatch.chdir(tmp_path)
    words = ("--model", "squeezenet1_1", "--weights", "weights.pth", "--size", 40)
    run("fit", photos, "--out", out, *words, "--epochs", 1, "--batch-size", 8)
    text = (out / "config.gin").read_text()
    assert "LR = 0.01" in text and "0.485" in text
    # The features were trained on from the file: they moved, and not far.
    before = network.state_dict()["features.0.weight"]
    monkeypatch.chdir("/")  # the file is found from anywhere
    after = predict_network(out).state_dict()["features.0.weight"]
    assert 0 < (after - before).norm() < 0.5 * before.norm()


def predict_network(run: Path) -> torch.nn.Module:
    from metaloss.predict import read_network

    return read_network(run).model


def test_arrays_with_test_samples(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    np.savez(
        tmp_path / "a.npz",
        x=draw.integers(0, 256, (40, 8, 8), dtype=np.uint8),
        y=np.arange(40) % 2,
        x_test=draw.integers(0, 256, (6, 8, 8), dtype=np.uint8),
        y_test=np.arange(6) % 2,
    )
    out = tmp_path / "run"
    said = run("fit", tmp_path / "a.npz", "--out", out, *FEW)
    assert "held-out" not in said and "unchecked" in said
    assert "mirrored images no" in said


def test_all_samples_are_trained_on_and_ranked(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    said = run("fit", table, "--held-out", 0, "--out", out, *FEW)
    assert "unchecked" in said
    assert len((out / "labels.csv").read_text().splitlines()) == 81
    assert len(own_data(table).train) == 80


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere",), "nowhere: expected a folder with a folder of images for each class"),
        (("table.csv", "--model", "resnet81"), "--model: expected resnet8, resnet20"),
        (("table.csv", "--label", "kind"), "labels named 'kind'"),
        (("table.csv", "--clean", "nothing.txt"), "nothing.txt"),
        (("table.csv", "--resume"), "--resume: expected --out"),
        (("table.csv", "--meta-every", "5"), "--meta-every: expected checked labels beside it"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    table: Path, refused: Callable[..., str], words: tuple[str, ...], said: str
) -> None:
    assert said in refused("fit", *words)


def test_photos_that_a_run_cannot_be_made_of(photos: Path, refused: Callable[..., str]) -> None:
    def said(*words: object) -> str:
        return refused("fit", *map(str, words), *FEW)

    assert "out: expected a folder outside of the data" in said(".")  # in ./runs by default
    assert "out: expected a folder outside of the data" in said(photos, "--out", "photos/dark/run")
    (photos.parent / "one.txt").write_text("dark/0.png\ndark/2.png\n")
    assert "two classes or more (clean), got 'dark' alone" in said(photos, "--clean", "one.txt")
    dark = [f"dark/{name}\n" for name in ["bad.jpg", *(f"{at}.png" for at in range(0, 24, 2))]]
    (photos.parent / "all.txt").write_text("".join([*dark, "light/1.png\n"]))
    for path in (photos / "light").iterdir():
        path.write_bytes(b"no image")
    assert "photos: expected training samples of each class, got none of 'light'" in said("photos")


def test_folders_of_parts_in_capitals_and_pictures_of_other_types(
    photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    for part in ("Train", "Test"):
        shutil.copytree(photos, tmp_path / "data" / part)
    for path in (tmp_path / "data" / "Test").rglob("*.*"):
        path.write_bytes(path.read_bytes() + b"other")
    for name in ("dark/1.gif", "light/2.HEIC", "light/notes.txt"):
        (tmp_path / "data" / "Train" / name).write_bytes(b"")
    found = own_parts(tmp_path / "data")
    assert found.class_names == ("dark", "light")
    assert len(found.parts["train"]) == len(found.parts["test"]) == 25
    assert found.notes[-1] == (
        "2 pictures are of types that are not read (.gif, .heic): they are left out"
    )
