"""What a process says when a run of several ends in an error: each error is said once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch.distributed as dist
from torch.distributed import distributed_c10d

from metaloss.checks import InputError
from metaloss.processes.group import rank, together

_KEY = "metaloss: the first process has ended with an error"
_WAIT = timedelta(seconds=2)
_SIGNS = ("gloo", "NCCL", "Connection closed", "Connection reset", "Timed out", "Broken pipe")


class LostProcessError(InputError):
    """Another process of the run has ended, or does not answer."""


@contextmanager
def ending_together() -> Iterator[None]:
    """Turn an error of a message between processes into one line.

    Raises:
        LostProcessError: another process has ended, or does not answer.
    """
    try:
        yield
    except RuntimeError as error:
        if not (together() and is_of_a_message(error)):
            raise
        raise LostProcessError(
            f"process {rank()} of {dist.get_world_size()}: another process of the run has ended, "
            "or does not answer; its own error, if it had one, is above"
        ) from error


def is_of_a_message(error: Exception) -> bool:
    """Return whether an error comes from a message between processes.

    Example:
        >>> from metaloss.processes.failure import is_of_a_message
        >>> is_of_a_message(RuntimeError("[gloo/transport/tcp/pair.cc] Connection closed by peer"))
        True
        >>> is_of_a_message(RuntimeError("shape '[2]' is invalid for input of size 3"))
        False
    """
    said = str(error)
    return isinstance(error, dist.DistError) or any(sign in said for sign in _SIGNS)


def says(error: Exception) -> bool:
    """Return whether this process is the one to print an error.

    The first process prints its errors. Another one prints an error that the first has not.

    Args:
        error: the error that ends this process.
    """
    if not together():
        return True
    try:
        store = distributed_c10d._get_default_store()
        if rank() == 0:
            store.set(_KEY, str(error))
            return True
        if isinstance(error, LostProcessError):
            return False
        store.wait([_KEY], _WAIT)
    except Exception:
        return not isinstance(error, LostProcessError)
    return False
