"""What functions make for a run: data, and networks and criteria of its own."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from metaloss.arguments import shown
from metaloss.checks import require
from metaloss.complaints import refusing
from metaloss.objective import AdjustedLoss
from metaloss.types import TaskLike


def make_task(make: Callable[..., TaskLike], seed: int, device: torch.device) -> TaskLike:
    """The data of one seed.

    Args:
        make: is called with ``seed`` and ``device``.
        seed: of the run.
        device: where to train.

    Raises:
        InputError: it cannot be made.
    """
    with refusing("task"):
        task = make(seed=seed, device=device)
    require(
        isinstance(task, TaskLike),
        f"task: expected a function that returns a metaloss.types.TaskLike, "
        f"but it returns {shown(task)}",
    )
    return task


def tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def shared(first: nn.Module, second: nn.Module) -> list[str]:
    """The names of the tensors of ``first`` that ``second`` holds too.

    Args:
        first: a module.
        second: another, both still in use: the memory of what is gone would be used anew.

    Example:
        >>> from torch import nn
        >>> from metaloss.experiments.makers import shared
        >>> body = nn.Linear(2, 2)
        >>> shared(nn.Sequential(body, nn.Linear(2, 2)), nn.Sequential(body))
        ['0.weight', '0.bias']
    """
    taken = {place for t in tensors(second).values() if (place := _place(t))}
    return [name for name, t in tensors(first).items() if _place(t) in taken]


class Distinct:
    """Criteria of different runs, none of which may train what another one trains."""

    def __init__(self) -> None:
        self._seen: list[tuple[str, AdjustedLoss]] = []

    def add(self, name: str, criterion: AdjustedLoss) -> None:
        """Compare one with those before.

        Args:
            name: of its method.
            criterion: is kept.

        Raises:
            InputError: it is one of those before, or learns with parameters of one of them.
        """
        learned = {n for n, p in criterion.named_parameters() if p.requires_grad}
        for other, before in self._seen:
            common = sorted(learned.intersection(shared(criterion, before)))
            require(
                criterion is not before and not common,
                f"expected a criterion of its own for each run, but "
                f"{'two calls' if other == name else f'this one and that of {other}'} share "
                f"{common[0] if common else 'one'}; make it anew in each call",
            )
        self._seen.append((name, criterion))


def _place(tensor: Tensor) -> int:
    """Where its values are; 0 where there are none."""
    return 0 if is_lazy(tensor) or tensor.is_meta else tensor.data_ptr()
