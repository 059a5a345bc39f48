"""Random number generators as values: put back, dropout draws the same mask again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor


class Randomness(NamedTuple):
    """The state of the CPU's generator and of some CUDA devices'."""

    cpu: Tensor
    cuda: dict[torch.device, Tensor]

    @classmethod
    def now(cls, devices: Iterable[torch.device] = ()) -> Randomness:
        """The generators as they are."""
        cuda = {d: torch.cuda.get_rng_state(d) for d in devices if d.type == "cuda"}
        return cls(torch.get_rng_state(), cuda)

    def restore(self) -> None:
        """Put the generators back to this state.

        Example:
            >>> import torch
            >>> from metaloss.bilevel.randomness import Randomness
            >>> state = Randomness.now()
            >>> first = torch.rand(3)
            >>> state.restore()
            >>> torch.equal(torch.rand(3), first)
            True
        """
        torch.set_rng_state(self.cpu)
        for device, state in self.cuda.items():
            torch.cuda.set_rng_state(state, device)
