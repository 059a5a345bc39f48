"""Several processes that train one network together, each on its part of every batch."""

from metaloss.processes.batch_part import equal_part
from metaloss.processes.exchange import (
    check_same,
    check_same_text,
    joint_rows,
    largest_over,
    mean_over,
    share,
    sum_over,
)
from metaloss.processes.failure import LostProcessError, ending_together, says
from metaloss.processes.first import on_first
from metaloss.processes.group import alone, rank, together, world_size

__all__ = [
    "LostProcessError",
    "alone",
    "check_same",
    "check_same_text",
    "ending_together",
    "equal_part",
    "joint_rows",
    "largest_over",
    "mean_over",
    "on_first",
    "rank",
    "says",
    "share",
    "sum_over",
    "together",
    "world_size",
]
