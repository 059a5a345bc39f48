"""Suites of tasks, to meta-train adjusters on and to test them on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import torch
from torch import nn

from metaloss.arguments import checked
from metaloss.checks import InputError, check_in_range, require
from metaloss.seeding import derive, generator
from metaloss.types import Loader, TaskSpec

from .batch_loader import BatchLoader
from .folder_loader import FolderLoader
from .make_noise import MakeNoise, Noisy, make_noise
from .mapped import joined_samples
from .task import Task


def noise_grid(
    *,
    task: Callable[..., Task],
    noises: Mapping[str, MakeNoise],
    rates: Sequence[float],
    model: Callable[[], nn.Module] | None = None,
    recipe: Any = None,
    prefix: str = "",
) -> tuple[TaskSpec, ...]:
    """Return a task for every kind of noise at every rate, as in Section 4.4 of the paper.

    All tasks share the samples, which are read once. Each task has its own noisy targets, order and
    augmentation.

    Args:
        task: makes the task without noise, called with ``seed`` and ``device``.
        noises: functions that take a ``rate``, by name: functions of :mod:`metaloss.tasks.noise`,
            or of :mod:`metaloss.tasks.corruption` for regression.
        rates: noise rates, in [0, 1].
        model: makes a fresh network for each task; by default, the run's network.
        recipe: the :class:`~metaloss.training.Recipe` of each task; by default, the run's recipe.
        prefix: the beginning of each task's name, which is ``PREFIXnoise-rate``.

    Raises:
        InputError: there is no noise or no rate, or a rate is out of range. When a task is made:
            it has noise already.

    Example:
        >>> from functools import partial
        >>> from metaloss.tasks import classification_task, digits, noise, noise_grid
        >>> clean = partial(classification_task, data=digits, num_meta=100, num_test=360)
        >>> suite = noise_grid(task=clean, noises={"symmetric": noise.symmetric}, rates=(0.2, 0.4))
        >>> [spec.name for spec in suite]
        ['symmetric-0.2', 'symmetric-0.4']
        >>> 0.15 < suite[0].task(seed=0, device="cpu").noise.rate < 0.25
        True
    """
    checked("task", task, Callable[..., Task])
    checked("noises", noises, Mapping[str, MakeNoise])
    checked("rates", rates, Sequence[float])
    require(len(noises) > 0, "noises: expected one or more, got none")
    require(len(rates) > 0, "rates: expected one or more, got none")
    for rate in rates:
        check_in_range("rate", rate, 0.0, 1.0)

    @lru_cache(maxsize=1)
    def clean(seed: int, device: torch.device | str) -> Task:
        return task(seed=seed, device=device)

    def make(name: str, noise: MakeNoise, *, seed: int, device: torch.device | str = "cpu") -> Task:
        return relabelled(clean(seed, device), noise, name=name, seed=seed)

    specs = []
    for kind, noise in noises.items():
        for rate in rates:
            name = f"{prefix}{kind}-{rate:g}"
            made = partial(make, name, partial(noise, rate=rate))
            specs.append(TaskSpec(name=name, task=made, model=model, recipe=recipe))
    return tuple(specs)


def join(*, suites: Sequence[Sequence[TaskSpec]]) -> tuple[TaskSpec, ...]:
    """Concatenate suites, for example of several data sets or networks.

    Args:
        suites: sequences of tasks.

    Example:
        >>> from metaloss.tasks import join
        >>> join(suites=[(), ()])
        ()
    """
    return tuple(spec for suite in suites for spec in suite)


def relabelled(task: Task, noise: MakeNoise, *, name: str, seed: int) -> Task:
    """Return a task with the same samples, noise on its training targets, and its own order.

    Args:
        task: a task without noise; its samples are not copied.
        noise: a function of :mod:`metaloss.tasks.noise`, or of :mod:`metaloss.tasks.corruption` for
            regression, with its rate bound.
        name: the name of the new task; its random streams depend on it.
        seed: the seed of the run.

    Raises:
        InputError: the task has noise already, or its loaders are not of this package.

    Example:
        >>> from functools import partial
        >>> from metaloss.tasks import classification_task, digits, noise, relabelled
        >>> clean = classification_task(data=digits, num_meta=100, num_test=360)
        >>> half = partial(noise.symmetric, rate=0.5)
        >>> task = relabelled(clean, half, name="half", seed=0)
        >>> task.train.inputs.data_ptr() == clean.train.inputs.data_ptr()
        True
    """
    require(task.noise is None, f"task {task.name}: expected one without noise, got noisy targets")
    train = _repeatable(task, task.train)
    meta = None if task.meta is None else _repeatable(task, task.meta)
    draws = generator(seed, "noise", name)
    corrupted = [train, meta] if meta and "meta" in task.meta_samples.corrupted else [train]
    noisy = _noise_on(corrupted, noise, task.num_classes, draws)
    of_train = noisy.select(torch.arange(train.num_samples))
    meta_targets = None
    if len(corrupted) == 2:
        meta_targets = noisy.targets[train.num_samples :]
    elif task.shared is not None:
        meta_targets = of_train.targets[task.shared]
    return replace(
        task,
        name=name,
        train=train.again(derive(seed, "train", name), of_train.targets),
        meta=None if meta is None else meta.again(derive(seed, "meta", name), meta_targets),
        train_targets=of_train.targets,
        noise=of_train,
        meta_checked=task.meta_samples.checked(task.meta_checked, corrupted=True),
    )


def _noise_on(
    loaders: Sequence[BatchLoader | FolderLoader],
    noise: MakeNoise,
    num_classes: int | None,
    draws: torch.Generator,
) -> Noisy:
    """Make noise for the samples of one loader after the other."""
    targets = [
        part.targets if isinstance(part, BatchLoader) else part.data.targets for part in loaders
    ]
    inputs = [part.inputs for part in loaders if isinstance(part, BatchLoader)]
    joined = joined_samples(inputs) if inputs else None
    return make_noise(noise, torch.cat(targets).cpu(), num_classes, draws, joined)


def _repeatable(task: Task, loader: Loader) -> BatchLoader | FolderLoader:
    if isinstance(loader, BatchLoader | FolderLoader):
        return loader
    raise InputError(
        f"task {task.name}: expected a BatchLoader or a FolderLoader, which can load the same "
        f"samples with other targets, got {type(loader).__name__}"
    )
