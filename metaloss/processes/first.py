"""Work that the first process does for all, such as everything that concerns files."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch.distributed as dist

from metaloss.processes.group import alone, rank, together

P = ParamSpec("P")
R = TypeVar("R")


def on_first(call: Callable[P, R]) -> Callable[P, R]:
    """Make a function that the first process alone carries out, and whose result all return.

    All processes have to call it. If it raises an error, all raise the same one. The result has to
    be something that can be pickled.

    Example:
        >>> from metaloss.processes import on_first
        >>> @on_first
        ... def read() -> str:
        ...     return "text"
        >>> read()
        'text'
    """

    @wraps(call)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        if not together():
            return call(*args, **kwargs)
        said: list[Any] = [None, None]
        if rank() == 0:
            try:
                with alone():  # what it calls may itself be for the first process
                    said[0] = call(*args, **kwargs)
            except Exception as error:
                said[1] = error
        dist.broadcast_object_list(said, src=0)
        result, raised = said
        if raised is not None:
            raise raised
        return result

    return called
