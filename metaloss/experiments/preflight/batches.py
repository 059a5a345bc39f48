"""A task's first batches, checked."""

from __future__ import annotations

from itertools import islice

from metaloss.arguments import shown
from metaloss.checks import check_finite, check_labels, require
from metaloss.training.streams import check_loader
from metaloss.types import Batch, Loader, TaskLike
from metaloss.user_errors import as_input_error


def first_batches(task: TaskLike, part: str, loader: Loader, count: int = 1) -> list[Batch]:
    """Return a loader's first batches, all of the epoch if it has fewer.

    Raises:
        InputError: The loader has no batch, or its batches do not fit the task.
    """
    name = f"task {task.name}: {part}"
    check_loader(name, loader)
    with as_input_error(name):
        batches = list(islice(loader.epoch(0), count)) if len(loader) else []
    require(len(batches) > 0, f"{name}: expected one batch or more in an epoch, got none")
    for batch in batches:
        require(
            isinstance(batch, Batch),
            f"{name}: expected batches that are a metaloss.types.Batch, got {shown(batch)}",
        )
        if task.num_classes is None:
            check_finite(name, batch.targets)
        else:
            check_labels(name, batch.targets, task.num_classes)
    return batches
