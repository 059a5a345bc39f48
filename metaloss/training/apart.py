"""Random numbers of processes that train together: each draws its own, as dropout should."""

from __future__ import annotations

import torch

from metaloss.processes import on_first, rank
from metaloss.seeding import derive, seed_everything


@on_first
def first_seed() -> int:
    """Return the seed of the first process's random numbers."""
    return torch.initial_seed()


def draw_apart(seed: int, step: int) -> None:
    """Let the other processes draw other random numbers than the first, which draws as it would.

    They begin anew at each checkpoint, which has the state of the first process alone. So a
    resumed run draws what an uninterrupted one does, with any number of processes.

    Args:
        seed: of the first process.
        step: the number of steps done.
    """
    if rank() > 0:
        seed_everything(derive(seed, "process", str(rank()), step))
