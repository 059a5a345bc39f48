"""Random number generators as values: put back, dropout draws the same mask again."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor


class Randomness(NamedTuple):
    """The states of the global generators that a forward pass may draw from.

    They are torch's on the CPU and on some CUDA devices, NumPy's and Python's. A generator that a
    model keeps for itself cannot be found from outside.

    Attributes:
        cpu: torch's on the CPU.
        cuda: torch's on CUDA devices.
        numpy: of ``numpy.random``.
        python: of ``random``.
    """

    cpu: Tensor
    cuda: dict[torch.device, Tensor]
    numpy: Any
    python: Any

    @classmethod
    def now(cls, devices: Iterable[torch.device] = ()) -> Randomness:
        """The generators as they are."""
        cuda = {d: torch.cuda.get_rng_state(d) for d in devices if d.type == "cuda"}
        numpy = np.random.get_state()  # noqa: NPY002 - the one that models draw from
        return cls(torch.get_rng_state(), cuda, numpy, random.getstate())

    def restore(self) -> None:
        """Put the generators back to this state.

        Example:
            >>> import torch
            >>> from metaloss.randomness import Randomness
            >>> state = Randomness.now()
            >>> first = torch.rand(3)
            >>> state.restore()
            >>> torch.equal(torch.rand(3), first)
            True
        """
        torch.set_rng_state(self.cpu)
        for device, state in self.cuda.items():
            torch.cuda.set_rng_state(state, device)
        np.random.set_state(self.numpy)  # noqa: NPY002
        random.setstate(self.python)


@contextmanager
def randomness_restored(devices: Iterable[torch.device] = ()) -> Iterator[None]:
    """Put the generators back at the end to the states that they had at the beginning.

    Args:
        devices: whose generators to look after, beside the CPU's.

    Example:
        >>> import random
        >>> from metaloss.randomness import randomness_restored
        >>> with randomness_restored():
        ...     first = random.random()
        >>> first == random.random()
        True
    """
    before = Randomness.now(devices)
    try:
        yield
    finally:
        before.restore()
