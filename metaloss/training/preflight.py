"""What can be tried before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from metaloss.checks import require
from metaloss.training.methods import Method
from metaloss.training.records import slug
from metaloss.types import TaskLike, TaskSpec


def check_fit(task: TaskLike, model: nn.Module, methods: Sequence[Method]) -> None:
    """Try data, network and methods on one batch.

    Args:
        task: the data.
        model: a fresh network.
        methods: each one's criterion is made for the task.

    Raises:
        InputError: whatever would stop the first step.
    """
    batch = next(iter(task.train.epoch(0)))
    model.eval()
    with torch.no_grad():
        try:
            outputs = model(batch.inputs)
        except RuntimeError as error:
            require(
                False,
                f"model: expected one that takes inputs {list(batch.inputs.shape)}, but it "
                f"says: {str(error).splitlines()[0]}",
            )
    values = task.num_classes is None
    wanted = batch.targets.shape[-1] if values else task.num_classes
    require(
        outputs.ndim == 2 and outputs.shape[1] == wanted,
        f"model: expected outputs [batch, {wanted}] for the task's "
        f"{'values' if values else 'classes'}, got {list(outputs.shape)}",
    )
    for method in methods:
        require(
            not method.learns or task.meta is not None,
            f"{method.name}: expected a task with clean samples to meta-train on, got none",
        )
        criterion = method.criterion(task).to(outputs.device)
        criterion.prepare(task.train_targets, task.num_classes)
        criterion(outputs, batch.targets, batch.index)


def check_specs(
    what: str, specs: Sequence[TaskSpec], model: Callable[[], nn.Module] | None
) -> None:
    """Raise :class:`~metaloss.checks.InputError` unless these tasks can be run side by side.

    Args:
        what: what to call them.
        specs: one or more, with names that make different folders, each with a network.
        model: for those that name none.
    """
    names = [slug(spec.name) for spec in specs]
    require(len(names) > 0, f"{what}: expected one or more, got none")
    twice = sorted({name for name in names if names.count(name) > 1})
    require(not twice, f"{what}: expected different names, got {', '.join(twice)} more than once")
    for spec in specs:
        require(
            spec.model is not None or model is not None,
            f"{what}: expected a network for every task, got none for {spec.name}",
        )
