"""Several processes that train one network together, each on its part of every batch."""

from metaloss.processes.exchange import (
    check_same,
    joint_rows,
    largest_over,
    mean_over,
    share,
    sum_over,
)
from metaloss.processes.first import on_first
from metaloss.processes.group import alone, number, rank, together

__all__ = [
    "alone",
    "check_same",
    "joint_rows",
    "largest_over",
    "mean_over",
    "number",
    "on_first",
    "rank",
    "share",
    "sum_over",
    "together",
]
