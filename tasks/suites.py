"""Suites of tasks: what an adjuster is meta-trained on, and tried on afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import torch
from torch import nn

from metaloss.arguments import checked
from metaloss.checks import check_in_range, require
from metaloss.seeding import derive, generator
from metaloss.types import TaskSpec

from .batch_loader import BatchLoader
from .folder_loader import FolderLoader
from .make_noise import MakeNoise, make_noise
from .regression import RegressionTask
from .task import Task

AnyTask = Task | RegressionTask


def noise_grid(
    *,
    task: Callable[..., AnyTask],
    noises: Mapping[str, MakeNoise],
    rates: Sequence[float],
    model: Callable[[], nn.Module] | None = None,
    recipe: Any = None,
    prefix: str = "",
) -> tuple[TaskSpec, ...]:
    """A task for every kind of noise at every rate: the paper's suite (Section 4.4).

    The samples are read and held once, whatever the number of tasks; each task has labels, an order
    and an augmentation of its own.

    Args:
        task: makes the task without noise, called with ``seed`` and ``device``.
        noises: by name, functions of :mod:`metaloss.tasks.noise`, or for regression of
            :mod:`metaloss.tasks.corruption`, that take a ``rate``.
        rates: in [0, 1].
        model: makes a fresh network for each task; the run's if not given.
        recipe: how each is trained, a :class:`~metaloss.training.Recipe`; the run's if not given.
        prefix: of the tasks' names, which are ``PREFIXnoise-rate``.

    Raises:
        InputError: no noise or rate, or a rate out of range; when a task is made, one that has
            noise already.

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
    checked("task", task, Callable[..., AnyTask])
    checked("noises", noises, Mapping[str, MakeNoise])
    checked("rates", rates, Sequence[float])
    require(len(noises) > 0, "noises: expected one or more, got none")
    require(len(rates) > 0, "rates: expected one or more, got none")
    for rate in rates:
        check_in_range("rate", rate, 0.0, 1.0)

    @lru_cache(maxsize=1)
    def clean(seed: int, device: torch.device | str) -> AnyTask:
        return task(seed=seed, device=device)

    def make(
        name: str, noise: MakeNoise, *, seed: int, device: torch.device | str = "cpu"
    ) -> AnyTask:
        return relabelled(clean(seed, device), noise, name=name, seed=seed)

    specs = []
    for kind, noise in noises.items():
        for rate in rates:
            name = f"{prefix}{kind}-{rate:g}"
            made = partial(make, name, partial(noise, rate=rate))
            specs.append(TaskSpec(name=name, task=made, model=model, recipe=recipe))
    return tuple(specs)


def join(*, suites: Sequence[Sequence[TaskSpec]]) -> tuple[TaskSpec, ...]:
    """Several suites as one, of other data sets or networks for instance.

    Args:
        suites: each a sequence of tasks.

    Example:
        >>> from metaloss.tasks import join
        >>> join(suites=[(), ()])
        ()
    """
    return tuple(spec for suite in suites for spec in suite)


def relabelled(task: AnyTask, noise: MakeNoise, *, name: str, seed: int) -> AnyTask:
    """The same samples with noise on their training targets, and an order of their own.

    Args:
        task: without noise; nothing of it is copied.
        noise: a function of :mod:`metaloss.tasks.noise`, or for regression of
            :mod:`metaloss.tasks.corruption`, its rate bound.
        name: of the new task; what is drawn depends on it.
        seed: of the run.

    Raises:
        InputError: the task has noise already, or loaders of one's own.

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
    train, meta = task.train, task.meta
    for loader in (train, *([] if meta is None else [meta])):
        require(
            isinstance(loader, BatchLoader | FolderLoader),
            f"task {task.name}: expected a BatchLoader or a FolderLoader, whose samples can be had "
            f"again with other targets, got {type(loader).__name__}",
        )
    inputs = train.inputs if isinstance(train, BatchLoader) else None
    draws = generator(seed, "noise", name)
    noisy: Any = make_noise(noise, task.train_targets, task.num_classes, draws, inputs)
    return replace(
        task,
        name=name,
        train=train.again(derive(seed, "train", name), noisy.targets),  # type: ignore[attr-defined]
        meta=None if meta is None else meta.again(derive(seed, "meta", name)),  # type: ignore[attr-defined]
        train_targets=noisy.targets,
        noise=noisy,
    )
