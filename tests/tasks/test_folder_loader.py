"""Batches of image files."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from functools import partial

import pytest
import torch
from PIL import Image

from metaloss.checks import InputError
from metaloss.experiments import Conventional, Experiment, RunFolder, RunSettings
from metaloss.losses import CrossEntropy
from metaloss.shim import import_torchvision
from metaloss.tasks import FolderLoader, FolderSet, classification_task, image_files
from metaloss.training import Observer, Recipe
from metaloss.types import Loader

transforms = import_torchvision().transforms

# DataLoader warns if there are fewer processors than workers, which is no fault of this code.
pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
    pytest.mark.usefixtures("short_waits"),
]


def flat(loader, number):
    batches = list(loader.epoch(number))
    assert len(batches) == len(loader)
    return batches


def test_evaluation_batches_equal_torchvisions(pets):
    root, _ = pets
    source = image_files(root, size=6, clean="verified")
    loader = FolderLoader(source.test, 5, augment=False, shuffle=False, drop_last=False)
    assert isinstance(loader, Loader)
    assert loader.num_samples == 12
    expected = import_torchvision().datasets.ImageFolder(
        str(root / "test"),
        transforms.Compose(
            [
                transforms.Resize(7),  # 6 * 8 / 7, rounded up
                transforms.CenterCrop(6),
                transforms.ToTensor(),
                transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            ]
        ),
    )
    batches = flat(loader, 0)
    assert [len(batch.targets) for batch in batches] == [5, 5, 2]
    for batch in batches:
        for inputs, target, index in zip(*batch, strict=True):
            assert torch.equal(inputs, expected[int(index)][0])
            assert int(target) == expected[int(index)][1]
    assert len(source.clean) == 6


def epoch_of(root, workers, number, seed=0):
    source = image_files(root, size=6, workers=workers, test=None)
    batches = flat(FolderLoader(source.train, 7, seed=seed), number)
    return torch.cat([b.index for b in batches]), torch.cat([b.inputs for b in batches])


def test_an_epoch_does_not_depend_on_the_number_of_workers(pets):
    root, _ = pets
    state = torch.get_rng_state()
    here, there, again = epoch_of(root, 0, 1), epoch_of(root, 2, 1), epoch_of(root, 0, 1)
    other = epoch_of(root, 0, 2)
    assert torch.equal(torch.get_rng_state(), state)
    assert len(set(here[0].tolist())) == 21  # three full batches of 24 samples
    for result in (there, again):
        assert torch.equal(here[0], result[0])
        assert torch.equal(here[1], result[1])
    assert not torch.equal(here[0], other[0])


def test_augmentation_differs_between_epochs_and_samples(pets):
    root, _ = pets
    for path in root.rglob("*.png"):
        Image.effect_noise((60, 60), 50).convert("RGB").save(path)
    source = image_files(root, size=32, test=None)
    only = FolderSet(
        source.train.files[:1] * 24,
        source.train.targets,
        source.train.class_names,
        "one image",
        32,
        source.train.train_transform,
        source.train.eval_transform,
    )
    loader = FolderLoader(only, 24)
    (first,), (second,) = flat(loader, 0), flat(loader, 1)
    by_sample = first.inputs[first.index.argsort()]
    assert len(by_sample.flatten(1).unique(dim=0)) > 12
    assert not torch.equal(by_sample, second.inputs[second.index.argsort()])
    plain = flat(FolderLoader(only, 24, augment=False), 0)[0].inputs
    assert len(plain.flatten(1).unique(dim=0)) == 1


def test_subset_and_with_targets(pets):
    root, _ = pets
    data = image_files(root, size=6).train
    chosen = data.subset(torch.tensor([20, 3]))
    assert chosen.files == (data.files[20], data.files[3])
    assert chosen.targets.tolist() == [2, 0]
    assert chosen.sample_shape == (3, 6, 6)
    assert data.with_targets(data.targets.flip(0)).targets.tolist() == data.targets.tolist()[::-1]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_file_is_named(pets, workers):
    root, _ = pets
    (root / "train" / "cat" / "02.png").write_bytes(b"no image")
    source = image_files(root, size=6, workers=workers)
    with pytest.raises(InputError, match=r"cat/02.png: expected an image") as caught:
        flat(FolderLoader(source.train, 24), 0)
    assert len(str(caught.value).splitlines()) == 1


def divide_by_zero(image):
    return 1 / 0


@pytest.mark.parametrize("workers", [0, 1])
def test_a_failing_transform_names_the_file(pets, workers):
    root, _ = pets
    source = image_files(root, size=6, train_transform=divide_by_zero, workers=workers)
    words = r"^\S*cat/00.png: expected .* transformed, got ZeroDivisionError: division by zero$"
    with pytest.raises(InputError, match=words):
        flat(FolderLoader(source.train, 24, shuffle=False), 0)


def killed(image):
    os.kill(os.getpid(), signal.SIGKILL)


def gone(image):
    os._exit(0)


def hanging(image):
    time.sleep(60)


@pytest.mark.parametrize("transform", [killed, gone])
def test_a_worker_that_dies_is_one_line(pets, transform):
    root, _ = pets
    source = image_files(root, size=6, train_transform=transform, workers=1)
    with pytest.raises(InputError, match=r"^pets: expected workers .* one died, most li.*batch$"):
        flat(FolderLoader(source.train, 24), 0)


def test_a_worker_that_hangs_is_one_line(pets):
    root, _ = pets
    source = image_files(root, size=6, train_transform=hanging, workers=1, timeout=0.5)
    began = time.monotonic()
    with pytest.raises(InputError, match=r"^pets: expected workers .* none .* 0\.5 sec.*timeout$"):
        flat(FolderLoader(source.train, 24), 0)
    assert time.monotonic() - began < 30


class Failing:
    """A transform that does something else while a file exists."""

    def __init__(self, flag, act):
        self.flag, self.act = flag, act

    def __call__(self, image):
        if self.flag.exists():
            self.act(image)
        return torch.full((3, 6, 6), float(image.getpixel((0, 0))[0]) / 255)


@pytest.mark.parametrize("act", [gone, hanging])
def test_a_run_whose_workers_fail_can_be_resumed(pets, tmp_path, act):
    root, _ = pets
    flag = tmp_path / "flag"
    transform = Failing(flag, act)
    run = Experiment(
        task=partial(
            classification_task,
            data=partial(
                image_files, root, size=6, train_transform=transform, workers=1, timeout=1.0
            ),
            batch_size=8,
            num_meta=0,
        ),
        model=lambda: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(108, 3)),
        methods=[Conventional(name="CE", loss=CrossEntropy())],
        recipe=Recipe(epochs=3),
        settings=RunSettings(device="cpu"),
    )
    whole = run.run(RunFolder(tmp_path / "whole"))

    class Fail(Observer):
        def epoch(self, record):
            if record["epoch"] == 2:
                flag.touch()

    with pytest.raises(InputError, match=r"^pets.* expected workers that read until the end"):
        run.run(RunFolder(tmp_path / "run"), Fail())
    flag.unlink()
    assert (tmp_path / "run/CE/seed-0/checkpoint.pt").exists()
    assert run.run(RunFolder(tmp_path / "run", resume=True)) == whole


@pytest.mark.exhaustive
def test_spawned_workers(pets):
    """Workers that are not forked import metaloss and torchvision again."""
    root, _ = pets
    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method("spawn", force=True)
    try:
        there = epoch_of(root, 1, 1)
    finally:
        multiprocessing.set_start_method(before, force=True)
    assert torch.equal(epoch_of(root, 0, 1)[1], there[1])


def test_again_has_another_order_and_other_targets(pets):
    root, _ = pets
    loader = FolderLoader(image_files(root, size=6, test=None).train, 24)
    again = loader.again(seed=1, targets=loader.data.targets.flip(0))
    (first,), (second,) = flat(loader, 0), flat(again, 0)
    assert not torch.equal(first.index, second.index)
    assert torch.equal(second.targets, loader.data.targets.flip(0)[second.index])


@pytest.mark.bad_input
def test_a_transform_to_another_shape_or_type_is_refused(pets):
    root, _ = pets
    source = image_files(root, size=6, train_transform=transforms.ToTensor())
    with pytest.raises(InputError, match=r"return \[3, 6, 6\], got \[3, 7, 9\] from .*png"):
        flat(FolderLoader(source.train, 24), 0)
    source = image_files(root, size=6, train_transform=transforms.Resize(6))
    with pytest.raises(InputError, match=r"return \[3, 6, 6\], got a Image from .*png"):
        flat(FolderLoader(source.train, 24), 0)


@pytest.mark.bad_input
def test_bad_arguments(pets):
    root, _ = pets
    with pytest.raises(InputError, match=r"size: .* at least 1, got 0"):
        image_files(root, size=0)
    with pytest.raises(InputError, match=r"workers: .* at least 0, got -1"):
        image_files(root, workers=-1)
    with pytest.raises(InputError, match=r"timeout: .* got -1"):
        image_files(root, size=6, timeout=-1.0)
    with pytest.raises(InputError, match=r"val: expected a folder"):
        image_files(root, test="val")
    data = image_files(root, size=6).train
    with pytest.raises(InputError, match=r"at most the 24 samples there are, got 25"):
        FolderLoader(data, 25)
    with pytest.raises(InputError, match=r"epoch: .* got -1"):
        FolderLoader(data, 24).epoch(-1)
    with pytest.raises(InputError, match=r"23 labels and 24 files"):
        data.with_targets(data.targets[:23])


def test_in_order_gives_every_file_once_for_evaluation(pets):
    root, _ = pets
    train = image_files(root, size=6, test=None).train
    expected = FolderLoader(train, 7, augment=False, shuffle=False, drop_last=False)
    batches = flat(FolderLoader(train, 7).in_order(), 0)
    for ours, theirs in zip(batches, flat(expected, 0), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_parts_of_a_batch_are_the_batch(pets):
    root, _ = pets
    whole = FolderLoader(image_files(root, size=6).train, 4, seed=3)
    parts = [flat(whole.part(rank, 2), 1) for rank in range(2)]
    for batch, one, other in zip(flat(whole, 1), *parts, strict=True):
        for together, first, second in zip(batch, one, other, strict=True):
            assert torch.equal(torch.cat([first, second]), together)
    with pytest.raises(InputError, match="at least one sample for each of 5 processes, got 4"):
        next(whole.part(0, 5).epoch(0))
    with pytest.warns(RuntimeWarning, match="3 processes have equal parts of a batch, so 1 of its"):
        assert len(next(whole.part(0, 3).epoch(0)).targets) == 1
