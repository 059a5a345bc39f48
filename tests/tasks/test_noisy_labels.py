"""Noisy labels: checks, digest, files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from metaloss.checks import InputError
from metaloss.tasks import NoisyLabels, noise

TARGETS = torch.arange(200) % 5


@pytest.fixture
def noisy():
    return noise.symmetric(TARGETS, 0.4, 5, torch.Generator().manual_seed(0))


def test_digest_can_be_computed_from_the_labels_alone(noisy):
    content = TARGETS.numpy().astype("<i8").tobytes() + noisy.labels.numpy().astype("<i8").tobytes()
    assert noisy.digest == hashlib.sha256(content).hexdigest()


def test_digest_depends_on_the_order_of_originals_and_labels(noisy):
    swapped = NoisyLabels(noisy.original, noisy.labels, noisy.transition)
    assert swapped.digest != noisy.digest


def test_save_and_load(noisy, tmp_path):
    path = tmp_path / "new" / "folder" / "labels.safetensors"
    noisy.save(path)
    loaded = NoisyLabels.load(str(path), targets=TARGETS)
    for name in ("labels", "original", "transition", "flipped"):
        assert torch.equal(getattr(loaded, name), getattr(noisy, name))
    assert loaded.rate == noisy.rate
    assert [file.name for file in path.parent.iterdir()] == ["labels.safetensors"]


def test_saving_twice_gives_the_same_bytes(noisy, tmp_path):
    noisy.save(tmp_path / "a")
    noisy.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_tensors_that_share_memory_or_are_not_contiguous_are_saved(tmp_path):
    matrix = torch.tensor([[0.5, 0.5], [0.0, 1.0]], dtype=torch.float64).t().flip(0).t()
    same = torch.tensor([0, 1, 0, 1])[::2]
    noisy = NoisyLabels(same, same, matrix.t().contiguous().t())
    noisy.save(tmp_path / "labels")
    loaded = NoisyLabels.load(tmp_path / "labels", same)
    assert torch.equal(loaded.transition, noisy.transition)


def test_a_failed_write_leaves_the_old_file(noisy, tmp_path, monkeypatch):
    path = tmp_path / "labels"
    noisy.save(path)
    old = path.read_bytes()

    def fail(self, target):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    other = noise.symmetric(TARGETS, 0.9, 5, torch.Generator().manual_seed(1))
    with pytest.raises(OSError, match="disk full"):
        other.save(path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_select(noisy):
    index = torch.tensor([7, 3, 3])
    chosen = noisy.select(index)
    assert chosen.labels.tolist() == [int(noisy.labels[i]) for i in (7, 3, 3)]
    assert chosen.original.tolist() == [2, 3, 3]


def test_load_refuses_labels_made_from_others(noisy, tmp_path):
    noisy.save(tmp_path / "labels")
    other = TARGETS.clone()
    other[[3, 50]] = (other[[3, 50]] + 1) % 5
    with pytest.raises(InputError, match="got others at 2 of them"):
        NoisyLabels.load(tmp_path / "labels", targets=other)
    with pytest.raises(InputError, match="for 100 samples, got 200"):
        NoisyLabels.load(tmp_path / "labels", targets=TARGETS[:100])


def _rewrite(path, **changes):
    """Change tensors of a saved file and leave its metadata."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    save_file({**tensors, **changes}, path, metadata=metadata)


@pytest.mark.parametrize("name", ["labels", "original", "transition"])
def test_load_refuses_changed_content(noisy, tmp_path, name):
    path = tmp_path / "labels"
    noisy.save(path)
    changed = getattr(noisy, name).clone()
    changed[0] = changed[1]
    _rewrite(path, **{name: changed})
    with pytest.raises(InputError, match="own digest"):
        NoisyLabels.load(path)


def test_load_refuses_impossible_content(noisy, tmp_path):
    path = tmp_path / "labels"
    noisy.save(path)
    _rewrite(path, labels=noisy.labels + 9)
    with pytest.raises(InputError, match=r"labels: labels: expected labels in 0\.\.4"):
        NoisyLabels.load(path)


def test_load_refuses_other_tensors(noisy, tmp_path):
    path = tmp_path / "labels"
    noisy.save(path)
    _rewrite(path, extra=torch.zeros(1))
    with pytest.raises(InputError, match="got extra, labels, original, transition"):
        NoisyLabels.load(path)


def test_load_refuses_another_format(noisy, tmp_path):
    path = tmp_path / "labels"
    noisy.save(path)
    truncated, pickled = path.read_bytes()[:-100], b"\x80\x02}q\x00."
    for content in (b"", b"not safetensors at all", pickled, truncated):
        path.write_bytes(content)
        with pytest.raises(InputError, match="cannot read it"):
            NoisyLabels.load(path)


def test_load_refuses_safetensors_of_another_kind(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(InputError, match="noisy labels, version 1, got another format"):
        NoisyLabels.load(path)


def test_load_refuses_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="found no such file"):
        NoisyLabels.load(tmp_path / "none")


EYE = torch.eye(3, dtype=torch.float64)
LABELS = torch.tensor([0, 1, 2])


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("labels", "original", "transition", "words"),
    [
        (LABELS, LABELS[:2], EYE, "one length, got 3 and 2"),
        (LABELS + 1, LABELS, EYE, r"labels: expected labels in 0\.\.2, got 1\.\.3"),
        (LABELS, LABELS - 1, EYE, "original: "),
        (LABELS.int(), LABELS, EYE, "int64"),
        (LABELS, LABELS, EYE.float(), "float64"),
        (LABELS, LABELS, EYE[:2], "square"),
        (LABELS, LABELS, 2 * EYE, "sum to 1, got 2 in row 0"),
    ],
)
def test_bad_noisy_labels(labels, original, transition, words):
    with pytest.raises(InputError, match=words):
        NoisyLabels(labels, original, transition)
