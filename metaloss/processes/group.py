"""Which processes train together: torch's default group, once it is initialised."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch.distributed as dist

_ALONE: ContextVar[bool] = ContextVar("alone", default=False)


def together() -> bool:
    """Whether this process trains together with others.

    That is so once ``torch.distributed`` has a default group of several processes, as
    ``torchrun``, Lightning and Accelerate set it up, except inside of :func:`alone`.

    Example:
        >>> from metaloss.processes import together
        >>> together()
        False
    """
    ready = dist.is_available() and dist.is_initialized()
    return ready and not _ALONE.get() and dist.get_world_size() > 1


def world_size() -> int:
    """Return the number of processes that train together, 1 if this process is on its own."""
    return dist.get_world_size() if together() else 1


def rank() -> int:
    """Return the number of this process, counted from 0; 0 if this process is on its own."""
    return dist.get_rank() if together() else 0


@contextmanager
def alone() -> Iterator[None]:
    """Let this process compute on its own inside the ``with`` block, without the others.

    Use it where processes train different networks, or where one process alone calls a criterion.

    Example:
        >>> from metaloss.processes import alone, world_size
        >>> with alone():
        ...     world_size()
        1
    """
    token = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(token)
