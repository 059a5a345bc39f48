"""learn2learn's tasks with noisy labels, and as sources of tasks to meta-train on.

Nothing here imports learn2learn: its tasksets and datasets are handed in.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from metaloss.checks import check_at_least, require
from metaloss.seeding import derive, global_generators
from metaloss.types import TaskSpec

from .classification import classification_task
from .image_set import ImageSet
from .make_noise import MakeNoise, make_noise
from .sources import Source
from .task import Task


@runtime_checkable
class Described(Protocol):
    """A ``learn2learn.data.MetaDataset``: samples, and the label of each."""

    indices_to_labels: dict[int, Any]

    def __getitem__(self, item: int) -> Any:
        """A sample and its label."""
        ...


class NoisyLabelsTransform:
    """A learn2learn task transform that puts noise on the labels of each task.

    Labels move among the classes of the task. It belongs after ``LoadData``, and before
    ``RemapLabels`` if there is one.

    Args:
        dataset: the ``MetaDataset`` of the other transforms.
        noise: a function of :mod:`metaloss.tasks.noise` with its own arguments, such as ``rate``,
            already bound. Its classes are those of the task, in the order of their labels.
        generator: a CPU generator; each new task draws from it.
        keep: the first samples of each class whose labels stay as they are: clean samples to meta-
            train on.
        mark: add to each sample whether its label is wrong, after the label.

    Raises:
        InputError: fewer than two classes in a task, or labels that were remapped before.

    Example:
        >>> from functools import partial
        >>> import learn2learn as l2l  # doctest: +SKIP
        >>> from metaloss.tasks import NoisyLabelsTransform, noise
        >>> data = l2l.data.MetaDataset(images)  # doctest: +SKIP
        >>> half = partial(noise.symmetric, rate=0.5)
        >>> tasks = l2l.data.Taskset(data, [
        ...     l2l.data.transforms.NWays(data, n=5),
        ...     l2l.data.transforms.KShots(data, k=20),
        ...     l2l.data.transforms.LoadData(data),
        ...     NoisyLabelsTransform(data, half, torch.Generator(), keep=5),
        ...     l2l.data.transforms.RemapLabels(data),
        ... ])  # doctest: +SKIP
    """

    def __init__(
        self,
        dataset: Described,
        noise: MakeNoise,
        generator: torch.Generator,
        *,
        keep: int = 0,
        mark: bool = False,
    ) -> None:
        self.dataset = dataset
        self.noise = noise
        self.generator = generator
        self.keep = check_at_least("keep", keep, 0)
        self.mark = mark

    def __call__(self, task_description: list[Any] | None) -> list[Any]:
        """Give each sample of a task the label that it will have."""
        require(
            task_description is not None,
            "NoisyLabelsTransform: expected to come after LoadData, got no task yet",
        )
        assert task_description is not None
        known = [self.dataset.indices_to_labels[d.index] for d in task_description]
        classes = sorted(set(known))
        require(
            len(classes) >= 2,
            f"NoisyLabelsTransform: expected tasks of two classes or more, got {classes}",
        )
        targets = torch.tensor([classes.index(label) for label in known])
        inputs = None
        if "inputs" in inspect.signature(self.noise).parameters:
            inputs = torch.stack(
                [torch.as_tensor(self.dataset[d.index][0]) for d in task_description]
            )
        noisy = make_noise(self.noise, targets, len(classes), self.generator, inputs)
        labels = torch.where(_first(targets, self.keep), targets, noisy.labels).tolist()
        for description, old, new in zip(task_description, known, labels, strict=True):
            description.transforms.append(partial(self._relabel, old, classes[new]))
        return task_description

    def _relabel(self, old: Any, new: Any, data: Sequence[Any]) -> list[Any]:
        sample, label, *rest = data
        plain = label.item() if isinstance(label, Tensor) else label
        require(
            plain == old,
            f"NoisyLabelsTransform: expected to come before RemapLabels, got a sample whose label "
            f"{old!r} was made {plain!r}",
        )
        return [sample, new, *([new != old] if self.mark else []), *rest]


def _first(targets: Tensor, count: int) -> Tensor:
    """Which samples are among the first of their class."""
    classes = int(targets.max()) + 1
    place = torch.nn.functional.one_hot(targets, classes).cumsum(dim=0)
    return place.gather(1, targets.unsqueeze(1)).squeeze(1) <= count


def taskset_suite(
    *,
    taskset: Any,
    number: int,
    task: Callable[..., Task] = classification_task,
    model: Callable[[], nn.Module] | None = None,
    recipe: Any = None,
    prefix: str = "task-",
) -> tuple[TaskSpec, ...]:
    """Tasks of a learn2learn taskset, to meta-train on.

    Each is sampled anew for each seed, with its samples in memory; ``task`` then takes the clean
    and the test samples out of them, and puts noise on the labels of the rest.

    Args:
        taskset: a ``learn2learn.data.Taskset`` of clean samples, labels ``0 .. ways - 1``.
        number: how many tasks to take.
        task: makes a task from samples, called with ``data``, ``name``, ``seed`` and ``device``:
            :func:`classification_task` with ``noise``, ``num_meta``, ``num_test`` and what else it
            takes.
        model: makes a fresh network for each task; the run's if not given.
        recipe: how each is trained, a :class:`~metaloss.training.Recipe`; the run's if not given.
        prefix: of the tasks' names, which are ``PREFIX0``, ``PREFIX1`` and so on.

    Raises:
        InputError: ``number`` is below 1 or above what the taskset has, or its labels are noisy
            already; when a task is made, labels other than ``0 .. ways - 1``, or samples and labels
            that do not go together.
    """
    check_at_least("number", number, 1)
    require(
        hasattr(taskset, "sample_task_description"),
        f"taskset: expected a learn2learn.data.Taskset, got {type(taskset).__name__}",
    )
    noisy = any(isinstance(t, NoisyLabelsTransform) for t in taskset.task_transforms)
    require(
        not noisy,
        "taskset: expected clean samples, on whose labels `task` puts noise, got a taskset with a "
        "NoisyLabelsTransform",
    )
    endless = taskset.num_tasks == -1
    require(
        endless or number <= len(taskset),
        f"number: expected at most the {len(taskset)} tasks there are, got {number}",
    )

    def make(k: int, *, seed: int, device: torch.device | str = "cpu") -> Task:
        name = f"{prefix}{k}"
        samples = _sampled(taskset, derive(seed, "taskset", name), name)
        return task(data=Source(samples, labels_checked=True), name=name, seed=seed, device=device)

    return tuple(
        TaskSpec(name=f"{prefix}{k}", task=partial(make, k), model=model, recipe=recipe)
        for k in range(number)
    )


def _sampled(taskset: Any, seed: int, name: str) -> ImageSet:
    """A task's samples: learn2learn draws them, and their data set may change them, at random."""
    with global_generators(seed):
        # Not taskset[k]: where its tasks are numbered it keeps the first that was drawn for each.
        inputs, targets, *_ = taskset.get_task(taskset.sample_task_description())
    found = targets.unique().tolist()
    require(
        found == list(range(len(found))),
        f"{name}: expected labels 0..{len(found) - 1} of {len(found)} ways, got {found}; put "
        "RemapLabels last among the taskset's transforms",
    )
    return ImageSet(inputs, targets.long(), tuple(map(str, found)), name)
