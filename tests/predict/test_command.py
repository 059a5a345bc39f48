"""`metaloss predict` with each kind of data, and what it prints."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from metaloss.cli import main
from metaloss.predict import predict_run
from metaloss.tasks.decoding import decode
from tests.predict.runs import CLASSES, SIZE, TITLES, Runs, invoke, predicted, refusal, rows


def test_the_data_of_the_run_are_not_there(runs: Runs) -> None:
    assert not runs.data.exists()
    assert str(runs.data) in (runs.one / "config.gin").read_text()


def test_a_folder_of_class_folders(runs: Runs) -> None:
    done = invoke("predict", runs.one, runs.images / "test")
    assert done.exit_code == 0, done.output
    found = rows(done.stdout)
    assert done.stdout.splitlines()[0] == ('path,label,probability,Käfer,"cat, ""black""",p(label)')
    paths = [row["path"] for row in found]
    assert paths == sorted(paths) and len(paths) == 12
    assert all(Path(path).is_file() for path in paths)
    for row in found:
        probabilities = [float(row[title]) for title in TITLES]
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)
        best = max(range(3), key=probabilities.__getitem__)
        assert row["label"] == CLASSES[best]
        assert float(row["probability"]) == probabilities[best]
    assert done.stderr.splitlines() == [
        f"A-GCE, seed 3: {runs.one}/A-GCE/seed-3",
        "12 predicted",
    ]


def test_one_image_and_a_flat_folder(runs: Runs, tmp_path: Path) -> None:
    image = runs.images / "test" / CLASSES[0] / "00, ü.png"
    (row,) = predicted(runs.one, image)
    assert row["path"] == str(image)
    for name in ("b.png", "a.PNG", ".hidden.png", "notes.txt"):
        (tmp_path / name).write_bytes(image.read_bytes())
    found = predicted(runs.one, tmp_path)
    assert [Path(row["path"]).name for row in found] == ["a.PNG", "b.png"]
    for other in found:
        assert float(other["probability"]) == pytest.approx(float(row["probability"]), abs=1e-5)


@pytest.mark.parametrize(
    "text",
    [
        "path\na.png\nsub/b.png\n",
        "\ufeffname;path\r\nx, y;a.png\r\n;sub/b.png\r\n\r\n",
    ],
)
def test_a_table_of_paths(runs: Runs, tmp_path: Path, text: str) -> None:
    (tmp_path / "sub").mkdir()
    for name, source in (("a.png", "00, ü.png"), ("sub/b.png", "01, ü.png")):
        (tmp_path / name).write_bytes((runs.images / "test" / CLASSES[0] / source).read_bytes())
    (tmp_path / "list.csv").write_bytes(text.encode())
    found = predicted(runs.one, tmp_path / "list.csv")
    assert [row["path"] for row in found] == ["a.png", "sub/b.png"]


@pytest.mark.parametrize("name", ["inputs", "x", None])
def test_arrays(runs: Runs, tmp_path: Path, name: str | None) -> None:
    files = sorted(map(str, (runs.images / "test").glob("*/*")))
    images = decode(files, 3, SIZE, 1).numpy()
    place = tmp_path / ("a.npy" if name is None else "a.npz")
    if name is None:
        np.save(place, images)
    else:
        np.savez(place, **{name: images, "labels": np.zeros(3)})
    found = predicted(runs.one, place, "--batch-size", 5)
    assert [row["id"] for row in found] == [str(i) for i in range(12)]
    by_path = predicted(runs.one, runs.images / "test", "--batch-size", 5)
    assert [row["label"] for row in found] == [row["label"] for row in by_path]
    given = predict_run(runs.one, images)
    assert torch.equal(
        given.probabilities, predict_run(runs.one, torch.tensor(images)).probabilities
    )
    assert given.ids == tuple(range(12))


def test_another_file(runs: Runs, tmp_path: Path) -> None:
    out = tmp_path / "found.csv"
    words = (runs.one, runs.images / "test", "--batch-size", 5)
    done = invoke("predict", *words, "--out", out)
    assert done.exit_code == 0, done.output
    assert done.stdout == "" and f"12 predicted: {out}" in done.stderr
    assert rows(out.read_text(encoding="utf-8")) == predicted(*words)
    assert list(tmp_path.iterdir()) == [out]
    picture = tmp_path / "0.png"
    picture.write_bytes(b"mine")
    done = invoke("predict", *words, "--out", picture)
    assert str(done.exception).startswith("out: expected the name of a CSV file, got ")
    assert picture.read_bytes() == b"mine"


def test_method_and_seed(runs: Runs) -> None:
    words = (runs.one, runs.images / "test")
    first = predicted(*words)
    assert first == predicted(*words, "--method", "A-GCE", "--seed", 3)
    assert first != predicted(*words, "--method", "CE")
    assert first != predicted(*words, "--seed", 4)
    assert "method: expected one of CE, A-GCE, got 'GCE'" in refusal(*words, "--method", "GCE")
    assert "seed: expected one of 3, 4, got 0" in refusal(*words, "--seed", 0)
    assert "task: expected none" in refusal(*words, "--task", "pets")


def test_one_task_of_a_comparison(runs: Runs) -> None:
    words = (runs.several, runs.images / "test")
    first = predicted(*words)
    assert first == predicted(*words, "--task", "symmetric-0.2")
    assert first != predicted(*words, "--task", "symmetric-0.4")
    assert "task: expected one of symmetric-0.2, symmetric-0.4" in refusal(*words, "--task", "no")


def test_images_that_cannot_be_read_are_named_and_skipped(runs: Runs, tmp_path: Path) -> None:
    good = runs.images / "test" / CLASSES[0] / "00, ü.png"
    (tmp_path / "a.png").write_bytes(good.read_bytes())
    (tmp_path / "b.png").write_bytes(good.read_bytes()[:90])
    (tmp_path / "list.csv").write_text("path\na.png\nb.png\nno/c.png\n.\na.png\n")
    done = invoke("predict", runs.one, tmp_path / "list.csv", "--batch-size", 2)
    assert done.exit_code == 0, done.output
    assert [row["path"] for row in rows(done.stdout)] == ["a.png", "a.png"]
    said = done.stderr.splitlines()
    assert said[1].startswith(f"skipped {tmp_path}/b.png: expected an image, cannot read it")
    assert said[2] == f"skipped {tmp_path}/no/c.png: expected an image, found no such file"
    assert said[-1] == "2 predicted, 3 of 5 skipped"
    found = predict_run(runs.one, tmp_path / "list.csv")
    assert [each.id for each in found.skipped] == ["b.png", "no/c.png", "."]
    out = tmp_path / "out.csv"
    line = refusal(runs.one, tmp_path / "list.csv", "--strict", "--out", out)
    assert line.startswith(f"{tmp_path}/b.png: expected an image")
    assert not list(tmp_path.glob("*out.csv*"))


def test_grey_images_for_a_network_of_colours_and_back(runs: Runs, tmp_path: Path) -> None:
    draw = np.random.default_rng(1).integers(0, 256, (SIZE, SIZE), dtype=np.uint8)
    Image.fromarray(draw).save(tmp_path / "grey.png")
    Image.fromarray(np.stack([draw] * 3, axis=2)).save(tmp_path / "colour.png")
    colour, grey = predict_run(runs.one, tmp_path).probabilities
    assert torch.equal(colour, grey)


def test_an_image_is_turned_as_its_camera_says(runs: Runs, tmp_path: Path) -> None:
    draw = np.random.default_rng(2).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    turned = Image.Exif()
    turned[274] = 6
    Image.fromarray(np.rot90(draw).copy()).save(tmp_path / "a.png", exif=turned)
    Image.fromarray(draw).save(tmp_path / "b.png")
    first, second = predict_run(runs.one, tmp_path).probabilities
    assert torch.equal(first, second)


def program(output: int, errors: Path, *words: object) -> int:
    """Run the command as a program does, to its last flush, in a process that was forked.

    Returns:
        Its exit code.
    """
    os.dup2(output, 1)
    with errors.open("w") as sys.stderr, os.fdopen(1, "w") as sys.stdout:
        sys.argv = ["metaloss", *map(str, words)]
        try:
            main()
        except SystemExit as ended:
            sys.stdout.flush()
            return ended.code if isinstance(ended.code, int) else 0
    return 1


@pytest.mark.filterwarnings("ignore:.* is multi-threaded, use of fork:DeprecationWarning")
def test_a_pipe_that_is_closed(runs: Runs, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4000, 3, SIZE, SIZE), dtype=np.uint8))
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reads)
        try:
            words = ("predict", runs.one, tmp_path / "a.npy")
            os._exit(program(writes, tmp_path / "errors", *words))
        finally:  # an error of the last flush, too, ends here
            os._exit(1)
    os.close(writes)
    with os.fdopen(reads) as shown:  # as head -n 2 does
        assert [shown.readline()[:2], shown.readline()[:2]] == ["id", "0,"]
    assert os.waitpid(child, 0)[1] == 0
    errors = (tmp_path / "errors").read_text()
    assert errors.splitlines() == [f"A-GCE, seed 3: {runs.one}/A-GCE/seed-3"]
