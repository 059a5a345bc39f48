"""learn2learn's tasks with noisy labels, and an adjuster meta-trained on its tasks."""

from functools import partial
from pathlib import Path

import metaloss  # noqa: F401 - first: it mends torchvision beside a CPU build of torch

# isort: split
import learn2learn as l2l
import torch
from learn2learn.data.transforms import KShots, LoadData, NWays, RemapLabels
from torch import nn
from torch.utils.data import Dataset, TensorDataset

from metaloss.experiments import Adjusted, MetaTraining, RunFolder
from metaloss.losses import GCE
from metaloss.tasks import NoisyLabelsTransform, classification_task, digits, noise, taskset_suite
from metaloss.training import Recipe


def noisy_tasks(samples: Dataset) -> l2l.data.Taskset:
    """Five classes, twenty samples each: the first five are right, half of the others wrong."""
    data = l2l.data.MetaDataset(samples)
    half = partial(noise.symmetric, rate=0.5)
    transforms = [
        NWays(data, n=5),
        KShots(data, k=20),
        LoadData(data),
        NoisyLabelsTransform(data, half, torch.Generator().manual_seed(0), keep=5),
        RemapLabels(data),
    ]
    return l2l.data.Taskset(data, transforms)


def main(samples: Dataset, folder: str | Path) -> None:
    """Learn an adjuster on twenty tasks of five classes, a hundred samples each."""
    data = l2l.data.MetaDataset(samples)
    clean = [NWays(data, n=5), KShots(data, k=100), LoadData(data), RemapLabels(data)]
    tasks = taskset_suite(
        taskset=l2l.data.Taskset(data, clean),
        number=20,
        task=partial(
            classification_task,
            noise=partial(noise.symmetric, rate=0.4),
            num_meta=50,
            meta_batch_size=50,
            num_test=100,
        ),
    )
    training = MetaTraining(
        tasks=tasks,
        methods=[Adjusted(name="A-GCE", loss=GCE())],
        recipe=Recipe(epochs=20, meta_every=1),
        model=lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 5)),
    )
    training.run(RunFolder(folder))  # folder/A-GCE/seed-0/adjuster is what was learned


if __name__ == "__main__":
    images = digits().train
    main(TensorDataset(images.images / 16, images.targets), "few-shot")
