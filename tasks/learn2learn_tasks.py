"""Noisy labels for learn2learn's tasks, and suites of tasks from its tasksets.

Nothing here imports learn2learn: its tasksets and data sets are passed in.
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
from .stratified import rank_in_class
from .task import Task


@runtime_checkable
class KnowsLabels(Protocol):
    """A data set that knows its labels, as ``learn2learn.data.MetaDataset`` does."""

    indices_to_labels: dict[int, Any]

    def __getitem__(self, item: int) -> Any:
        """Return a sample and its label."""
        ...


class NoisyLabelsTransform:
    """A learn2learn task transform that adds noise to the labels of each task.

    A label changes to another class of the same task. Place the transform after ``LoadData``, and
    before ``RemapLabels`` if there is one.

    Args:
        dataset: the ``MetaDataset`` that the other transforms are given.
        noise: a function of :mod:`metaloss.tasks.noise` with its own arguments, such as ``rate``,
            already bound. Its classes are those of the task, in the order of their labels.
        generator: a CPU generator; each new task draws from it.
        keep: number of samples of each class, the first ones, whose labels are kept: clean samples
            to meta-train on.
        mark: whether to insert into each sample, after its label, whether that label is wrong.

    Raises:
        InputError: ``keep`` is below 0. When a task is made: it has fewer than two classes, or its
            labels were remapped before.

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
        dataset: KnowsLabels,
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
        """Add to each sample's description the step that sets its new label."""
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
        labels = torch.where(rank_in_class(targets) < self.keep, targets, noisy.targets).tolist()
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


def taskset_suite(
    *,
    taskset: Any,
    number: int,
    task: Callable[..., Task] = classification_task,
    model: Callable[[], nn.Module] | None = None,
    recipe: Any = None,
    prefix: str = "task-",
) -> tuple[TaskSpec, ...]:
    """Return tasks sampled from a learn2learn taskset, to meta-train on.

    Each task is sampled once for each seed, and its samples are held in memory. ``task`` then takes
    the clean and the test samples out of them, and adds noise to the labels of the others.

    Args:
        taskset: a ``learn2learn.data.Taskset`` of clean samples, with labels from 0 to
            ``ways - 1``.
        number: number of tasks.
        task: makes a task from samples, called with ``data``, ``name``, ``seed`` and ``device``:
            :func:`classification_task` with its other arguments, such as ``noise``, ``num_meta``
            and ``num_test``, bound.
        model: makes a fresh network for each task; by default, the run's network.
        recipe: the :class:`~metaloss.training.Recipe` of each task; by default, the run's recipe.
        prefix: the beginning of the tasks' names, which are ``PREFIX0``, ``PREFIX1`` and so on.

    Raises:
        InputError: ``number`` is below 1 or above the number of tasks in the taskset, or its labels
            are noisy already. When a task is made: its labels are not 0 to ``ways - 1``, or samples
            and labels do not match.
    """
    check_at_least("number", number, 1)
    require(
        hasattr(taskset, "sample_task_description"),
        f"taskset: expected a learn2learn.data.Taskset, got {type(taskset).__name__}",
    )
    noisy = any(isinstance(t, NoisyLabelsTransform) for t in taskset.task_transforms)
    require(
        not noisy,
        "taskset: expected clean samples, to whose labels `task` adds noise, got a taskset with a "
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
    """Sample a task. learn2learn, and the data set too, may draw from the global generators."""
    with global_generators(seed):
        # Not taskset[k]: a taskset of numbered tasks would return the task that it drew first.
        inputs, targets, *_ = taskset.get_task(taskset.sample_task_description())
    found = targets.unique().tolist()
    require(
        found == list(range(len(found))),
        f"{name}: expected labels 0..{len(found) - 1} of {len(found)} ways, got {found}; put "
        "RemapLabels last among the taskset's transforms",
    )
    return ImageSet(inputs, targets.long(), tuple(map(str, found)), name)
