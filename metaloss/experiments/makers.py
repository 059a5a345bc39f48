"""The task and the network of a run, made by functions of the user."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from metaloss.arguments import shown
from metaloss.checks import require
from metaloss.seeding import derive, seed_everything
from metaloss.types import TaskLike
from metaloss.user_errors import as_input_error


def make_task(make: Callable[..., TaskLike], seed: int, device: torch.device) -> TaskLike:
    """Return the task of one seed, made by a call with ``seed`` and ``device``.

    Raises:
        InputError: The function fails, or returns something else.
    """
    with as_input_error("task"):
        task = make(seed=seed, device=device)
    require(
        isinstance(task, TaskLike),
        f"task: expected a function that returns a metaloss.types.TaskLike, "
        f"but it returns {shown(task)}",
    )
    return task


def fresh(make: Callable[[], nn.Module], seed: int, *stream: str) -> nn.Module:
    """Make a network whose initial weights depend only on the seed and the name of a stream.

    Raises:
        InputError: the network cannot be made.
    """
    seed_everything(derive(seed, "model", *stream))
    with as_input_error("model"):
        model = make()
    require(
        isinstance(model, nn.Module),
        f"model: expected a function that returns a torch.nn.Module, but it returns {shown(model)}",
    )
    return model
