"""The same from Python, and from scikit-learn."""

from __future__ import annotations

import csv
import pickle
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.utils.estimator_checks import check_estimator
from torch.utils.data import TensorDataset

import metaloss
from metaloss.checks import InputError
from metaloss.sklearn import RobustClassifier

# Short trainings say that they learn little; a test of its own asks for it.
pytestmark = pytest.mark.filterwarnings("ignore:.*(meta steps or more|low margins to be)")


CLOUDS = np.random.default_rng(0).normal(size=(20, 2))


@pytest.fixture
def clouds() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of two clouds, their classes, and labels of which every fifth is wrong."""
    right = np.arange(80) % 2
    given = np.where(np.arange(80) % 5 == 0, 1 - right, right)
    points = np.random.default_rng(0).normal(size=(80, 2)) + 6 * right[:, None]
    return points, right, given


def test_arrays(clouds) -> None:
    points, right, given = clouds
    words = np.array(["cat", "dog"])
    fitted = metaloss.fit(points, words[given], epochs=10, held_out=0)
    assert fitted.classes.tolist() == ["cat", "dog"]
    assert (fitted.predict(points) == words[right]).mean() > 0.95
    assert fitted.predict_proba(points).sum(axis=1) == pytest.approx(1)
    doubtful = fitted.label_quality.argsort()[:16]
    assert (doubtful % 5 == 0).mean() > 0.9
    assert (fitted.suggested[doubtful] == words[right][doubtful]).mean() > 0.9
    assert not fitted.accuracy_checked
    assert (fitted.folder / "labels.csv").is_file()


def test_a_folder_keeps_the_data_and_held_out_samples_are_ranked_too(clouds, tmp_path) -> None:
    points, right, given = clouds
    # With this seed the held-out samples have no larger share of wrong labels than the others.
    fitted = metaloss.fit(points, given, out=tmp_path / "run", epochs=10, held_out=30, seed=3)
    assert (tmp_path / "run" / "data.npz").is_file()
    with (tmp_path / "run" / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    held_out = np.array([int(row["id"]) for row in rows if row["held_out"] == "yes"])
    assert len(rows) == 80 and len(held_out) == 30
    quality = {int(row["id"]): float(row["score"]) for row in rows}
    assert fitted.label_quality == pytest.approx([quality[at] for at in range(80)], rel=1e-5)
    wrong = given != right
    assert fitted.label_quality[held_out][wrong[held_out]].max() < 0.5
    assert roc_auc_score(~wrong[held_out], fitted.label_quality[held_out]) > 0.95
    assert roc_auc_score(~wrong, fitted.label_quality) > 0.95
    assert (fitted.suggested == right).mean() > 0.95
    assert fitted.classes.dtype.kind == "i"


def test_what_is_fitted_is_shown_in_a_line(clouds, tmp_path) -> None:
    points, _, given = clouds
    words = np.array(["cat", "dog"])
    fitted = metaloss.fit(points, words[given], out=tmp_path / "run", epochs=1)
    assert repr(fitted) == (
        f"Fitted(80 samples of 2 classes ('cat', 'dog'), accuracy {fitted.accuracy:.3f} by "
        f"unchecked labels, folder {str(tmp_path / 'run')!r})"
    )
    assert "Linear" not in repr(fitted.network)
    many = replace(fitted, classes=np.arange(9), accuracy_checked=True)
    assert "of 9 classes (0, 1, 2, 3, 4, 5, ...)" in repr(many) and "by checked" in repr(many)


@pytest.mark.parametrize("as_mask", [True, False])
def test_clean_samples_among_the_data(clouds, as_mask: bool) -> None:
    points, right, given = clouds
    clean = (given == right) & (np.arange(80) > 60)
    chosen = clean if as_mask else np.flatnonzero(clean)
    fitted = metaloss.fit(points, given, clean=chosen, epochs=1)
    assert f"NUM_CLEAN = {clean.sum()}" in (fitted.folder / "config.gin").read_text()
    assert np.isnan(fitted.label_quality[clean]).all()


def test_a_data_set_with_further_clean_and_test_samples(clouds) -> None:
    points, right, given = clouds
    data = TensorDataset(torch.from_numpy(points).float(), torch.from_numpy(given))
    fitted = metaloss.fit(
        data, clean=(points[:9] + 0.1, right[:9]), test=(points[9:] + 0.1, right[9:]), epochs=10
    )
    assert fitted.accuracy_checked and 0.9 < fitted.accuracy <= 1


def test_further_clean_samples_are_not_taken_for_those_of_the_data(clouds, tmp_path) -> None:
    points, right, given = clouds
    at = [3, 2, 1, 0, 9, 20]
    metaloss.fit(
        points, given, clean=(points[at], right[at]), out=tmp_path / "run", epochs=1, held_out=0
    )
    with (tmp_path / "run" / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    # Their names, 0 to 5, are not those of the data.
    assert len(rows) == 80 - len(at) and not any(row["checked_label"] for row in rows)


def test_floating_point_images_with_their_channels_last(tmp_path) -> None:
    labels = np.arange(40) % 2
    images = np.random.default_rng(0).normal(size=(40, 9, 8, 3)) + 3 * labels[:, None, None, None]
    fitted = metaloss.fit(images, labels, epochs=1, held_out=0)
    assert fitted.predict(images).shape == (40,)
    with pytest.raises(InputError, match="flip: expected uint8 images or image files to mirror"):
        metaloss.fit(images, labels, epochs=1, flip=True)


def test_what_may_be_wrong_is_said_once(clouds, capfd) -> None:
    points, right, given = clouds
    clean = np.flatnonzero(given == right)[-15:]
    with pytest.warns(UserWarning, match="expected 100 meta steps or more, got 4 ") as caught:
        fitted = metaloss.fit(points, given, clean=clean, epochs=1)
    assert [str(each.message) for each in caught] == list(fitted.warnings) != []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metaloss.fit(points, given, clean=clean, epochs=1, verbose=True)
    assert "100 meta steps or more" in capfd.readouterr().err.replace("\n", " ")
    assert metaloss.fit(points, given, epochs=1).warnings == ()


def test_verbose_prints_and_otherwise_nothing_is_printed(clouds, capfd) -> None:
    points, _, given = clouds
    metaloss.fit(points, given, epochs=1)
    assert capfd.readouterr() == ("", "")
    metaloss.fit(points, given, epochs=1, verbose=True)
    written = capfd.readouterr()
    assert "80 rows of 2 classes" in written.err and "recommended" in written.out


def test_a_place(clouds, tmp_path: Path) -> None:
    points, _, given = clouds
    np.savez(tmp_path / "a.npz", x=points, y=given)
    assert metaloss.fit(tmp_path / "a.npz", epochs=1).label_quality.shape == (80,)


def test_a_relative_place_of_images(tmp_path: Path, monkeypatch) -> None:
    for name, grey in (("light", 200), ("dark", 20)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for at in range(10):
            Image.new("RGB", (8, 8), (grey + at,) * 3).save(tmp_path / f"photos/{name}/{at}.png")
    monkeypatch.chdir(tmp_path)
    fitted = metaloss.fit("photos", epochs=1, held_out=0)
    assert np.isfinite(fitted.label_quality).all()
    assert len(fitted.predict("photos")) == 20


def test_samples_that_cannot_be_predicted_are_refused_rather_than_left_out(
    clouds, tmp_path: Path
) -> None:
    points, _, given = clouds
    fitted = metaloss.fit(points, given, epochs=1)
    points[3, 0] = np.nan
    np.save(tmp_path / "points.npy", points)
    for data in (points, tmp_path / "points.npy"):
        with pytest.raises(InputError, match="sample 3: expected finite numbers, got NaN"):
            fitted.predict(data)


def test_data_frames_and_lists(clouds) -> None:
    pandas = pytest.importorskip("pandas")
    points, _, given = clouds
    frame, words = pandas.DataFrame(points), pandas.Series(np.array(["cat", "dog"])[given])
    fitted = metaloss.fit(frame, words, epochs=1)
    expected = fitted.predict(points)
    assert fitted.classes.tolist() == ["cat", "dog"]
    assert (fitted.predict(frame) == expected).all()
    assert (fitted.predict(points.tolist()) == expected).all()


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.array([b"cat", b"dog"]), [b"cat", b"dog"]),
        (np.array([3, 5], dtype=object), [3, 5]),
        (np.array([False, True]), [False, True]),
    ],
)
def test_classes_are_the_labels_as_they_were_given(clouds, labels, classes) -> None:
    points, _, given = clouds
    assert metaloss.fit(points, labels[given], epochs=1).classes.tolist() == classes


def test_other_labels_beside_a_data_set_of_pairs(clouds) -> None:
    points, right, given = clouds
    pairs = TensorDataset(torch.tensor(points), torch.tensor(given))
    fitted = metaloss.fit(pairs, np.array(["cat", "dog"])[right], epochs=1)
    assert fitted.classes.tolist() == ["cat", "dog"]
    assert (fitted.predict(pairs) == fitted.predict(points)).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"data": np.zeros((4, 2))}, "expected labels beside an array"),
        ({"data": np.zeros((4, 2)), "labels": [0, 1]}, "got 2 labels and 4 inputs"),
        ({"data": [], "labels": []}, "expected samples, got none"),
        ({"data": [np.zeros(2), np.zeros(3)], "labels": [0, 1]}, "inputs of one shape, got 2"),
        ({"data": [np.zeros(2)]}, "expected pairs of an input and a label"),
        ({"data": np.zeros((4, 2)), "labels": [0, 1] * 2, "clean": [9]}, "from 0 to 3, got 9..9"),
        ({"data": np.zeros((4, 2)), "labels": [0, 1] * 2, "clean": [True]}, "a mask of 4 samples"),
        ({"data": np.zeros((4, 2)), "labels": [0, 1] * 2, "clean": [0.5]}, "positions or a mask"),
        (
            {"data": np.zeros((4, 2)), "labels": [0, 1] * 2, "test": [1]},
            "a pair of inputs and labels",
        ),
        ({"data": "nowhere", "labels": [1]}, "labels: expected none beside a place"),
        ({"data": "nowhere"}, "nowhere: expected a folder"),
        ({"data": "nowhere", "clean": [1]}, "clean: expected a place, as the data are, got list"),
        ({"data": [[1, 2], [3]], "labels": [0, 1]}, "data: expected inputs of one shape"),
        ({"data": [["a"], ["b"]], "labels": [0, 1]}, "data: expected inputs in numbers, got <U1"),
        ({"data": np.zeros((4, 2)), "labels": [0.5, 1] * 2}, "^data: .* whole numbers, got float"),
        ({"data": np.zeros((4, 2)), "labels": ["a", None] * 2}, "2 are missing"),
        ({"data": csr_matrix((4, 2)), "labels": [0, 1] * 2}, r"dense array, got .*toarray\(\)"),
        # The files that arrays are written to are not named.
        ({"data": np.zeros((0, 2)), "labels": np.zeros(0, int)}, "^data: expected samples, found"),
        ({"data": np.zeros((4, 2)), "labels": [0] * 4}, "^data: expected two classes"),
        ({"data": np.zeros(4), "labels": [0, 1] * 2}, "^data: expected inputs"),
        (
            {"data": np.zeros((4, 2)), "labels": [0, 1] * 2, "test": (np.zeros((2, 2)), [0, 7])},
            "^test: expected labels of data ",
        ),
        ({"data": CLOUDS, "labels": [0, 1] * 10, "seed": None}, "^seed: .* at least 0, got None"),
        ({"data": CLOUDS, "labels": [0, 1] * 10, "model": torch.nn.ReLU()}, "model: .* got a ReLU"),
        (
            {"data": CLOUDS, "labels": [0, 1] * 10, "clean": [CLOUDS[:4], [0, 1, 0, 1]]},
            r"a pair in round brackets, \(inputs, labels\), got a list of other things",
        ),
        ({"data": np.zeros((4, 2)), "labels": range(4)}, "8 .*, two for each of 4 classes, got 4"),
    ],
)
def test_bad_input(arguments, words: str) -> None:
    with pytest.raises(InputError, match=words):
        metaloss.fit(**arguments)


def test_a_run_that_is_refused_leaves_its_folder_free(tmp_path: Path) -> None:
    labels = [0, 1] * 10
    with pytest.raises(InputError, match="device: expected one that torch has here"):
        metaloss.fit(CLOUDS, labels, out=tmp_path / "run", epochs=1, device="warp")
    fitted = metaloss.fit(
        CLOUDS, labels, out=tmp_path / "run", epochs=1, device=torch.device("cpu")
    )
    assert (fitted.folder / "data.npz").is_file()
    with pytest.raises(InputError, match=r"metaloss train .*config.gin --out .* --resume"):
        metaloss.fit(CLOUDS, labels, out=tmp_path / "run", epochs=1)


@pytest.mark.exhaustive
@pytest.mark.bad_input  # scikit-learn passes -1 for each argument, and refuses nothing before fit
def test_the_classifier_is_what_scikit_learn_expects() -> None:
    outcomes = check_estimator(RobustClassifier(epochs=5, random_state=0), on_skip=None)
    assert len(outcomes) > 40


def test_the_classifier_with_clean_samples_is_cloned_and_pickled(clouds) -> None:
    points, right, given = clouds
    robust = clone(RobustClassifier(epochs=5, random_state=3)).fit(
        points, given, clean=np.arange(60, 80)[given[60:] == right[60:]]
    )
    again = pickle.loads(pickle.dumps(robust))
    assert (again.predict_proba(points) == robust.predict_proba(points)).all()
    assert robust.label_quality_.shape == robust.suggested_labels_.shape == (80,)


@pytest.mark.parametrize("names", [np.array(["b", "a"]), np.array([2, 1])])
def test_further_clean_samples_of_the_classifier_have_its_labels(clouds, names) -> None:
    points, right, given = clouds
    further = points[:20] + 0.01
    robust = RobustClassifier(epochs=5, random_state=0).fit(
        points, names[given], clean=(further, names[right[:20]])
    )
    assert (robust.predict(points) == names[right]).mean() > 0.9
    with pytest.raises(ValueError, match="clean: expected labels of the training samples"):
        robust.fit(points, names[given], clean=(further, np.full(20, 9)))
