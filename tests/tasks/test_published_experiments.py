"""The experiments of Section 4.4: their schedules as printed, and first steps on miniatures."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from metaloss.config import configuration
from metaloss.experiments import Experiment
from metaloss.tasks import Task
from tests.helpers.published import (
    write_animal10n,
    write_clothing1m,
    write_food101n,
    write_human_labels,
    write_tiny_imagenet,
)

# DataLoader warns if there are fewer processors than workers, which is no fault of this code.
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")

ROWS = ["CE", "GCE", "T-GCE", "SL", "T-SL", "PolySoft", "T-PolySoft", "JS", "T-JS"]

# Learning rate, its factor at each milestone, milestones, epochs, weight decay, batch size, size of
# the images, classes.
PRINTED = {
    "tiny_imagenet": (0.01, 0.1, (30, 60), 90, 5e-4, 100, 64, 200),
    "animal10n": (0.1, 1 / 5, (50, 75), 100, 1e-3, 128, 64, 10),
    "food101n": (5e-3, 0.1, (10, 20), 30, 1e-3, 32, 224, 101),
    "clothing1m": (0.002, 0.1, (20,), 40, 1e-3, 32, 224, 14),
    "cifar10n": (0.1, 0.1, (80, 100), 120, 5e-4, 100, 32, 10),
    "cifar100n": (0.1, 0.1, (80, 120), 150, 5e-4, 100, 32, 100),
}
# Of the networks: torchvision's with another head; PreAct ResNet-18's 11.2 million; and the 0.46
# million that He et al. print of ResNet-32.
PARAMETERS = {
    "tiny_imagenet": (11.1e6, 11.3e6),
    "animal10n": (143_678_248 - 990 * 4097,) * 2,
    "food101n": (25_557_032 - 899 * 2049,) * 2,
    "clothing1m": (25_557_032 - 986 * 2049,) * 2,
    "cifar10n": (0.455e6, 0.475e6),
    "cifar100n": (0.455e6, 0.48e6),
}
FURTHER = {"food101n": ["FOOD101"], "cifar10n": ["LABELS"], "cifar100n": ["LABELS"]}


@pytest.mark.parametrize("name", PRINTED)
def test_the_schedule_is_as_printed(name: str) -> None:
    lr, gamma, milestones, epochs, decay, batch_size, size, classes = PRINTED[name]
    bindings = [f"{macro} = 'x'" for macro in ("DATA", *FURTHER.get(name, ()))]
    bindings += ["models.resnet50.pretrained = False"] if size == 224 else []
    with configuration([f"experiments/paper_{name}.gin"], bindings) as config:
        experiment = config.build(Experiment)
        recipe = experiment.recipe
        optimizer = recipe.optimizer([nn.Parameter(torch.zeros(1))])
        schedule = recipe.schedule(optimizer)
        with torch.device("meta"):
            network = experiment.model()
            shape = network(torch.zeros(2, 3, size, size)).shape
        text = config.text
    rates = []
    for _ in range(epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    passed = [sum(epoch >= stone for stone in milestones) for epoch in range(epochs)]
    assert rates == pytest.approx([lr * gamma**count for count in passed])
    (group,) = optimizer.param_groups
    assert (group["momentum"], group["weight_decay"], group["nesterov"]) == (0.9, decay, False)
    assert recipe.epochs == epochs
    assert f"classification_task.batch_size = {batch_size}" in text or batch_size == 100
    assert shape == (2, classes)
    low, high = PARAMETERS[name]
    assert low <= sum(p.numel() for p in network.parameters()) <= high
    assert [method.name for method in experiment.methods] == ROWS


FEW = (
    "experiments.Experiment.methods = "
    "[@ce/experiments.Conventional(), @t_sl/experiments.Transferred()]"
)


def first_steps(name: str, *bindings: str, files: tuple[str, ...] = ()) -> Task:
    """Take the first steps of the methods, with a small network, and return the task."""
    small = ["models/small_cnn.gin", *files]
    few = ["tasks.classification_task.batch_size = 4", "EPOCHS = 1", "SEEDS = (0,)", "THREADS = 1"]
    with configuration([f"experiments/paper_{name}.gin", *small], [*few, *bindings]) as config:
        return config.build(Experiment).check()


def test_first_steps_on_tiny_imagenet(tmp_path) -> None:
    write_tiny_imagenet(tmp_path)
    common = [f"DATA = '{tmp_path}'", "tasks.tiny_imagenet.complete = False", "NUM_CLASSES = 3"]
    task = first_steps("tiny_imagenet", *common)
    assert (task.train.num_samples, task.test.num_samples, task.meta) == (12, 6, None)
    other = ("tasks/noise_asymmetric.gin",)
    pairs = first_steps("tiny_imagenet", *common, FEW, "NOISE_RATE = 1.0", files=other)
    assert torch.equal(pairs.train_targets, (pairs.noise.original + 1) % 3)


def test_first_steps_on_animal10n(tmp_path) -> None:
    write_animal10n(tmp_path)
    cache = tmp_path / "decoded.safetensors"
    bindings = [f"DATA = '{tmp_path}'", f"CACHE = '{cache}'", "tasks.animal10n.complete = False"]
    task = first_steps("animal10n", *bindings, FEW)
    assert (task.train.num_samples, task.test.num_samples, task.flipped) == (20, 10, None)
    assert cache.is_file()


def test_first_steps_on_food101n(tmp_path) -> None:
    write_food101n(tmp_path)
    bindings = [f"DATA = '{tmp_path}'", f"FOOD101 = '{tmp_path}'", "NUM_CLASSES = 3", "SIZE = 24"]
    task = first_steps("food101n", *bindings, FEW, "WORKERS = 0")
    assert (task.train.num_samples, task.test.num_samples) == (18, 6)
    assert next(task.train.epoch(0)).inputs.shape == (4, 3, 24, 24)


def test_first_steps_on_clothing1m(tmp_path) -> None:
    write_clothing1m(tmp_path)
    bindings = [f"DATA = '{tmp_path}'", "SIZE = 14", "SUBSET = 28", "WORKERS = 1"]
    task = first_steps("clothing1m", *bindings, FEW)
    assert (task.train.num_samples, task.test.num_samples) == (28, 14)
    assert next(task.train.epoch(0)).inputs.shape == (4, 3, 14, 14)


def test_first_steps_on_cifar10n(cifar10_folder, unverified) -> None:
    root, content = cifar10_folder
    clean = [label for k in range(1, 6) for label in content[f"data_batch_{k}"][1]]
    write_human_labels(root / "CIFAR-10_human.pt", clean, classes=10)
    bindings = [f"DATA = '{root}'", f"LABELS = '{root}/CIFAR-10_human.pt'", "KIND = 'rand2'"]
    task = first_steps("cifar10n", *bindings, FEW)
    assert task.name == "cifar10n, rand2"
    meta = ["num_meta = 4", "meta_batch_size = 4", "balanced_meta = False"]
    learned = first_steps(
        "cifar10n",
        *bindings,
        *(f"tasks.classification_task.{each}" for each in meta),
        files=("tables/table1.gin",),
    )
    assert (learned.train.num_samples, learned.meta.num_samples) == (11, 4)
    assert learned.meta_checked


def test_first_steps_on_cifar100n(cifar100_folder, unverified) -> None:
    root, content = cifar100_folder
    write_human_labels(root / "CIFAR-100_human.pt", content["train"][1], classes=100)
    bindings = [f"DATA = '{root}'", f"LABELS = '{root}/CIFAR-100_human.pt'"]
    assert first_steps("cifar100n", *bindings, FEW).train.num_samples == 6
