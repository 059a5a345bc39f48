"""Workers that stay alive over the epochs."""

from __future__ import annotations

import copy
import os
import pickle
import time
from itertools import islice
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from metaloss.checks import InputError
from metaloss.tasks import FolderLoader, image_files
from metaloss.training.streams import stream
from tests.tasks.test_folder_loader import Failing, gone

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
    pytest.mark.usefixtures("short_waits"),
]


def process(image: Image.Image) -> Tensor:
    """Return the number of the process."""
    return torch.full((3, 6, 6), float(os.getpid() % 4096))


def loader_of(root: Path, batch_size: int = 5, **settings: object) -> FolderLoader:
    source = image_files(root, size=6, test=None, **{"workers": 2, **settings})  # type: ignore[arg-type]
    return FolderLoader(source.train, batch_size, seed=3)


def epoch(loader: FolderLoader, number: int) -> Tensor:
    return torch.cat([batch.inputs for batch in loader.epoch(number)])  # type: ignore[arg-type]


def test_the_workers_of_the_first_epoch_read_the_next_ones(pets: tuple[Path, object]) -> None:
    loader = loader_of(pets[0], train_transform=process)
    seen = [set(epoch(loader, number).flatten().tolist()) for number in range(3)]
    assert seen[0] == seen[1] == seen[2]
    assert len(seen[0]) == 2
    assert os.getpid() % 4096 not in seen[0]


def test_the_workers_of_a_stream_stay(pets: tuple[Path, object]) -> None:
    loader = loader_of(pets[0], train_transform=process)
    batches = list(islice(stream(loader), 3 * len(loader)))
    assert len(set(torch.cat([batch.inputs for batch in batches]).flatten().tolist())) == 2  # type: ignore[arg-type]


def test_epochs_that_are_left_interleaved_or_copied_are_right(pets: tuple[Path, object]) -> None:
    here = loader_of(pets[0], workers=0)
    expected = [epoch(here, number) for number in range(3)]
    loader = loader_of(pets[0])
    assert len(list(islice(loader.epoch(0), 1))) == 1  # left after a batch
    assert torch.equal(epoch(loader, 1), expected[1])
    both = list(zip(loader.epoch(0), loader.epoch(2), strict=True))
    for at, number in ((0, 0), (1, 2)):
        assert torch.equal(torch.cat([each[at].inputs for each in both]), expected[number])  # type: ignore[arg-type]
    for copied in (copy.deepcopy(loader), pickle.loads(pickle.dumps(loader))):
        assert torch.equal(epoch(copied, 1), expected[1])
    assert torch.equal(epoch(loader.again(3), 2), expected[2])


def slow(_: Image.Image) -> None:
    time.sleep(1.0)  # longer than it takes until it is looked whether the worker is alive


def test_an_epoch_that_is_left_while_workers_read_slowly(
    pets: tuple[Path, object], tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    loader = loader_of(pets[0], 1, workers=1, train_transform=Failing(flag, slow))
    expected = epoch(loader, 1)
    flag.touch()
    assert len(list(islice(loader.epoch(0), 1))) == 1  # the next is being read
    flag.unlink()
    assert torch.equal(epoch(loader, 1), expected)


def test_new_workers_read_after_one_has_died(pets: tuple[Path, object], tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    loader = loader_of(pets[0], train_transform=Failing(flag, gone))
    expected = epoch(loader, 0)
    flag.touch()
    with pytest.raises(InputError, match="expected workers that read until the end"):
        epoch(loader, 1)
    flag.unlink()
    assert torch.equal(epoch(loader, 0), expected)
