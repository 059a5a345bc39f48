"""The part of a batch that a process has."""

from __future__ import annotations

from metaloss.checks import require
from metaloss.users_code import warn


def equal_part(length: int, rank: int, number: int) -> slice:
    """Return the rows of a batch that a process has.

    The parts are equally long, so up to one sample less than there are processes is left out.

    Args:
        length: the number of samples in the batch.
        rank: the process, from 0.
        number: the number of processes.

    Raises:
        InputError: the batch has fewer samples than there are processes.

    Example:
        >>> from metaloss.processes import equal_part
        >>> equal_part(10, rank=1, number=2)
        slice(5, 10, None)
    """
    own, left = divmod(length, number)
    require(
        own > 0,
        f"batch: expected at least one sample for each of {number} processes, got {length}; train "
        "in fewer processes, or with larger batches",
    )
    if left and rank == 0:
        warn(
            f"{number} processes have equal parts of a batch, so {left} of its {length} samples "
            f"are left out; a batch size that {number} divides loses none",
            RuntimeWarning,
        )
    return slice(rank * own, (rank + 1) * own)
