"""CIFAR-10N and CIFAR-100N, and what else has noisy labels of its own."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from metaloss.checks import InputError
from metaloss.tasks import (
    NoisyLabels,
    Source,
    cifar10,
    cifar10n,
    cifar100n,
    classification_task,
    noise,
    varied,
)
from tests.helpers.published import write_human_labels

KINDS = {"aggre": "aggre_label", "worst": "worse_label"} | {
    f"rand{k}": f"random_label{k}" for k in (1, 2, 3)
}


@pytest.fixture
def published(cifar10_folder, unverified):
    """The folder of a miniature CIFAR-10, its labels, and the file of human ones."""
    root, content = cifar10_folder
    clean = [label for k in range(1, 6) for label in content[f"data_batch_{k}"][1]]
    path = root / "CIFAR-10_human.pt"
    return root, path, write_human_labels(path, clean, classes=10)


@pytest.mark.parametrize("kind", KINDS)
def test_cifar10n_has_the_labels_that_people_gave(published, kind) -> None:
    root, path, arrays = published
    source = cifar10n(root, path, kind=kind)
    right, given = arrays["clean_label"], arrays[KINDS[kind]]
    assert source.train.targets.tolist() == right.tolist()
    assert source.noisy.labels.tolist() == given.tolist()
    assert source.noisy.flipped.tolist() == (right != given).tolist()
    for i in range(10):
        row = [float((given[right == i] == j).mean() if i in right else i == j) for j in range(10)]
        assert source.noisy.transition[i].tolist() == pytest.approx(row)
    assert source.train.name == f"cifar10n, {kind}"
    assert cifar10(root).noisy is None


def test_cifar100n(cifar100_folder, unverified) -> None:
    root, content = cifar100_folder
    arrays = write_human_labels(root / "CIFAR-100_human.pt", content["train"][1], classes=100)
    source = cifar100n(root, root)  # the folder of the file
    assert source.noisy.labels.tolist() == arrays["noisy_label"].tolist()
    assert source.noisy.original.tolist() == content["train"][1]


def labels_by_image(loader) -> dict[bytes, int]:
    return {
        image.numpy().tobytes(): int(target)
        for batch in loader.in_order().epoch(0)
        for image, target in zip(batch.inputs, batch.targets, strict=True)
    }


@pytest.mark.parametrize("origin", ["train", "noisy"])
def test_a_task_trains_on_human_labels_and_learns_from_right_ones(published, origin) -> None:
    root, path, arrays = published
    plain = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
    make = partial(classification_task, num_meta=4, meta_from=origin, balanced_meta=False, **plain)
    task = make(data=partial(cifar10n, root, path), batch_size=11, meta_batch_size=4)
    images = cifar10(root).train.images.float().div(127.5).sub(1)
    right = {im.numpy().tobytes(): k for im, k in zip(images, arrays["clean_label"], strict=True)}
    given = {im.numpy().tobytes(): k for im, k in zip(images, arrays["worse_label"], strict=True)}
    # Normalisation divides by 255 * 0.5 in another order, so that keys are compared by rounding.
    keys = {tuple(np.frombuffer(k, np.float32).round(3)[:40]): k for k in right}
    of = lambda key: keys[tuple(np.frombuffer(key, np.float32).round(3)[:40])]  # noqa: E731
    train, meta = labels_by_image(task.train), labels_by_image(task.meta)
    assert (len(train), len(meta)) == (11, 4)
    assert all(label == given[of(key)] for key, label in train.items())
    expected = right if origin == "train" else given
    assert all(label == expected[of(key)] for key, label in meta.items())
    assert task.flipped.tolist() == (task.noise.labels != task.noise.original).tolist()
    assert task.meta_checked is (origin == "train")
    assert task.noise.labels.tolist() == task.train_targets.tolist()


def test_no_noise_is_added_to_noisy_labels(published) -> None:
    root, path, _ = published
    make = partial(classification_task, data=cifar10n(root, path), num_meta=0, batch_size=5)
    for more in (
        {"noise": partial(noise.symmetric, rate=0.2)},
        {"noise_file": "labels.safetensors"},
    ):
        with pytest.raises(InputError, match=r"neither, since cifar10n, worst has noisy labels"):
            make(**more)


def test_varied_images_keep_their_noisy_labels(published) -> None:
    root, path, _ = published
    source = cifar10n(root, path)
    assert varied(data=source).noisy is source.noisy


def test_a_source_refuses_noisy_labels_of_other_samples(published) -> None:
    root, path, _ = published
    source = cifar10n(root, path)
    other = (source.train.targets + 1) % 10
    with pytest.raises(InputError, match="noisy: expected noisy labels made from these 15 labels"):
        replace(source, noisy=NoisyLabels.of_labels(other, other, 10))
    with pytest.raises(InputError, match="noisy: expected labels of 10 classes, got 11"):
        Source(source.train, noisy=NoisyLabels.of_labels(other, other, 11))


class Harm:
    def __reduce__(self):
        return os.mkdir, ("harm",)


def spoiled(arrays, **changes):
    return {**arrays, **changes}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: spoiled(a, extra=Harm()), r"not opened: it asks for \w+\.mkdir$"),
        (lambda a: spoiled(a, extra=np.array([Harm()], dtype=object)), "and nothing else"),
        (lambda a: {"clean_label": a["clean_label"]}, "clean_label and worse_label, got clean_l"),
        (lambda a: spoiled(a, clean_label=a["clean_label"][::-1].copy()), r"others at \d+ of them"),
        (
            lambda a: spoiled(a, clean_label=a["clean_label"][:9]),
            "15 labels of CIFAR-10, got 9",
        ),
        (lambda a: spoiled(a, worse_label=a["worse_label"][:9]), "15 labels in worse_label, got 9"),
        (lambda a: spoiled(a, worse_label=a["worse_label"] + 5), r"labels in 0\.\.9, got"),
        (lambda a: spoiled(a, worse_label=a["worse_label"] / 2), "in whole numbers, got torch.flo"),
        (lambda a: spoiled(a, worse_label="0123"), "worse_label: expected labels .*, got a str"),
        (lambda a: a["worse_label"], "a dictionary of labels, got a ndarray"),
    ],
)
def test_another_content_is_refused_and_not_run(
    published, tmp_path, monkeypatch, change, words
) -> None:
    root, path, arrays = published
    torch.save(change(arrays), path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=rf"CIFAR-10_human\.pt: .*{words}") as caught:
        cifar10n(root, path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("content", [b"", b"labels", pickle.dumps({"a": np.arange(3)}, 4)])
def test_a_damaged_file_is_one_line(published, content) -> None:
    root, path, _ = published
    path.write_bytes(content)
    with pytest.raises(InputError, match="expected the labels of CIFAR-10N") as caught:
        cifar10n(root, path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_files_of_every_numpy_and_torch_are_read(published, module, zipped) -> None:
    root, path, arrays = published
    torch.save(arrays, path, _use_new_zipfile_serialization=zipped)
    if not zipped:  # the names of modules are plain text in this format
        content = path.read_bytes()
        path.write_bytes(content.replace(np.empty(0).__reduce__()[0].__module__.encode(), module))
    assert cifar10n(root, path).noisy.labels.tolist() == arrays["worse_label"].tolist()


def test_files_that_are_not_there(published) -> None:
    root, path, _ = published
    path.unlink()
    words = r"found no such file; download CIFAR-10_human\.pt from the folder data of https"
    with pytest.raises(InputError, match=words):
        cifar10n(root, path)
    path.with_suffix(".npy").write_bytes(b"")
    with pytest.raises(InputError, match=r"got a \.npy file, which may be in another order"):
        cifar10n(root, path.with_suffix(".npy"))
    with pytest.raises(InputError, match=r"kind: expected one of aggre, worst, .* got 'clean'"):
        cifar10n(root, path, kind="clean")
