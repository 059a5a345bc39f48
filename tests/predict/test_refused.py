"""What `metaloss predict` refuses, in one line that says what was expected and what came."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from tests.predict.runs import CLASSES, SIZE, Runs, predicted, refusal, train

SHAPE = f"[samples, 3, {SIZE}, {SIZE}]"


def test_data_that_are_not_there(runs: Runs, tmp_path: Path) -> None:
    assert "found no such file or folder" in refusal(runs.one, tmp_path / "nowhere")
    assert "expected images, found none; their names end in .jpg" in refusal(runs.one, tmp_path)
    (tmp_path / "a.png").write_text("not an image")
    line = refusal(runs.one, tmp_path)
    assert line == f"{tmp_path}: expected samples that can be predicted, got none among 1"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"file,label\na.png,cat\n", "expected a header with the column 'path', got 'file', "),
        (b"path,label\na.png,cat\n,dog\n", "line 3: expected the path of an image, got none"),
    ],
)
def test_tables(runs: Runs, tmp_path: Path, text: bytes, line: str) -> None:
    (tmp_path / "list.csv").write_bytes(text)
    said = refusal(runs.one, tmp_path / "list.csv")
    assert said.startswith(str(tmp_path / "list.csv")) and line in said


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (np.zeros((5, 3, 8, 9), np.uint8), f"expected an array {SHAPE}, got [5, 3, 8, 9]"),
        (np.zeros((3, 8, 8), np.uint8), f"expected an array {SHAPE}, got [3, 8, 8]"),
        (np.zeros((5, 8, 8), np.uint8), f"expected an array {SHAPE}, got [5, 8, 8]"),
        (np.zeros((0, 3, 8, 8), np.uint8), "expected one sample or more, got none"),
        (np.zeros((5, 3, 8, 8)), "expected uint8 images, pixels 0 to 255, got float64"),
    ],
)
def test_arrays(runs: Runs, tmp_path: Path, values: np.ndarray, line: str) -> None:
    np.save(tmp_path / "a.npy", values)
    assert line in refusal(runs.one, tmp_path / "a.npy")


def test_files_of_arrays(runs: Runs, tmp_path: Path) -> None:
    for name in ("a.npy", "a.npz"):
        (tmp_path / name).write_bytes(b"no array")
        assert "expected a file of NumPy with numbers" in refusal(runs.one, tmp_path / name)
        (tmp_path / name).write_bytes(b"")
        assert "expected a file of NumPy with numbers" in refusal(runs.one, tmp_path / name)
    np.save(tmp_path / "a.npy", np.array([{"a": 1}]), allow_pickle=True)
    assert "expected a file of NumPy with numbers" in refusal(runs.one, tmp_path / "a.npy")
    np.savez(tmp_path / "a.npz", pictures=np.zeros(3), y=np.zeros(3))
    line = "expected one array named inputs or x or images or features, got pictures, y"
    assert line in refusal(runs.one, tmp_path / "a.npz")


def test_options(runs: Runs, tmp_path: Path) -> None:
    words = (runs.one, runs.images / "test")
    for options, line in (
        (("--batch-size", 0), "batch_size: expected a whole number of at least 1, got 0"),
        (("--device", "abacus"), "device: expected one that torch has here, got 'abacus'"),
        (("--out", tmp_path), "out: expected the name of a file"),
        (("--out", tmp_path / "no" / "a.csv"), "out: expected a file in a folder that exists"),
    ):
        assert line in refusal(*words, *options)
    (tmp_path / "list.csv").write_text("path\na.png\n")
    words = (runs.one, tmp_path / "list.csv")
    assert "expected another file than the data" in refusal(*words, "--out", tmp_path / "list.csv")
    assert (tmp_path / "list.csv").read_text() == "path\na.png\n"


def test_folders_that_are_no_runs(runs: Runs, tmp_path: Path) -> None:
    images = runs.images / "test"
    line = "expected the folder of a run of `metaloss fit` or `metaloss train`"
    assert line in refusal(tmp_path, images)
    assert line in refusal(runs.one / "CE/seed-3", images)
    (tmp_path / "config.gin").write_text("include 'experiments/demo.gin'")
    assert "expected runs of `metaloss fit` or `metaloss train`, got none there" in refusal(
        tmp_path, images
    )
    (tmp_path / "config.gin").write_text("include 'experiments/meta_digits.gin'")
    assert "got a meta-training, which does not" in refusal(tmp_path, images)


def test_regression(runs: Runs, tmp_path: Path) -> None:
    one = "experiments.Experiment.methods = [@l2/experiments.Conventional()]"
    text = "from __gin__ import dynamic_registration\nfrom metaloss import experiments\n"
    text += "include 'experiments/diabetes.gin'\nEPOCHS = 1\nMILESTONES = ()\nSEEDS = (0,)\n"
    place = train(tmp_path / "run", text + one)
    assert not list(place.rglob("inputs.json"))
    assert "expected a run of classification" in refusal(place, runs.images / "test")


@pytest.fixture
def copy(runs: Runs, tmp_path: Path) -> Path:
    """A copy of a run to damage."""
    return shutil.copytree(runs.one, tmp_path / "copy")


def test_a_run_that_is_not_finished(runs: Runs, copy: Path) -> None:
    images = runs.images / "test"
    (copy / "A-GCE/seed-3/result.json").unlink()
    assert "got one that is not finished" in refusal(copy, images)
    assert predicted(copy, images, "--method", "CE") == predicted(
        runs.one, images, "--method", "CE"
    )
    (copy / "results.json").unlink()  # the others are known by their folders
    assert predicted(copy, images, "--seed", 4) == predicted(runs.one, images, "--seed", 4)


def test_weights_of_another_network(runs: Runs, copy: Path) -> None:
    images = runs.images / "test"
    place = copy / "A-GCE/seed-3/model.safetensors"
    weights = safetensors.torch.load_file(place)
    weights["head.weight"] = torch.zeros(5, weights["head.weight"].shape[1])
    place.write_bytes(safetensors.torch.save(weights))
    line = refusal(copy, images)
    assert "expected the network of the run: size mismatch for head.weight" in line
    place.write_bytes(b"nothing")
    assert "expected the file of a finished run" in refusal(copy, images)


def test_inputs_that_are_missing(runs: Runs, copy: Path) -> None:
    (copy / "A-GCE/seed-3/inputs.json").unlink()
    assert "inputs.json: cannot be read: No such file" in refusal(copy, runs.images / "test")


def test_inputs_of_another_version(runs: Runs, copy: Path) -> None:
    place = copy / "A-GCE/seed-3/inputs.json"
    kept = json.loads(place.read_text(encoding="utf-8"))
    assert tuple(kept["class_names"]) == CLASSES
    for change, line in (
        ({"format": 2}, "made by another version of metaloss"),
        ({"rows": ["a"]}, "got also rows: made by a later version of metaloss"),
        ({"std": [1, 1, 0]}, "std: expected positive numbers"),
        ({"mean": [1]}, "mean: expected a number for each of 3 channels, got [1]"),
        ({"resize": "square"}, "resize: expected one of cover, got 'square'"),
        ({"kind": "sounds"}, "kind: expected one of images, files, features, unknown"),
        ({"class_names": ["a", "b"]}, "expected a network that returns logits [12, 2], got"),
        ({"sample_shape": "a"}, "sample_shape: expected a JSON list, got 'a'"),
        ({"sample_shape": None}, "sample_shape: expected one for inputs of the kind 'images'"),
        ({"scale": 9}, "scale: expected none for inputs of the kind 'images', got 9"),
    ):
        place.write_text(json.dumps(kept | change), encoding="utf-8")
        assert line in refusal(copy, runs.images / "test")
    place.write_text("{", encoding="utf-8")
    assert "inputs.json: expected JSON" in refusal(copy, runs.images / "test")
