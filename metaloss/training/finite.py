"""Hypergradients that are not finite: named and not taken, without waiting for the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Skipped(NamedTuple):
    """Meta steps that were not taken.

    Attributes:
        number: how many.
        step: the first of them, counted from 0 over the whole run.
        tensor: the adjuster's first parameter whose gradient was not finite there.
    """

    number: int
    step: int
    tensor: str


class Watch:
    """Remembers, where the data is, which hypergradients of an epoch were not finite."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.found: Tensor | None = None

    def see(self, hypergradient: Mapping[str, Tensor], step: int) -> Tensor:
        """Look at a hypergradient.

        Args:
            hypergradient: by the adjuster's parameters' names, the same at each call.
            step: of the meta steps in the whole run.

        Returns:
            Whether all of it is finite, a boolean scalar where the data is.
        """
        self.names = list(hypergradient)
        bad = torch.stack([~g.isfinite().all() for g in hypergradient.values()])
        if self.found is None:  # how many, the first one's step and tensor
            self.found = torch.zeros(3, dtype=torch.int64, device=bad.device)
        count, first_step, first_tensor = self.found.unbind()
        new = bad.any() & (count == 0)
        self.found = torch.stack(
            [
                count + bad.any(),
                first_step + new * step,
                torch.where(new, bad.int().argmax(), first_tensor),
            ]
        )
        return ~bad.any()

    def skipped(self) -> Skipped | None:
        """What was not finite, if anything; waits for the device."""
        if self.found is None:
            return None
        count, step, tensor = self.found.tolist()
        return Skipped(count, step, self.names[tensor]) if count else None

    def state_dict(self) -> dict[str, Any]:
        """What has been seen so far."""
        return {"names": self.names, "found": self.found}

    def load_state_dict(self, saved: Mapping[str, Any], device: torch.device) -> None:
        """Go on from what :meth:`state_dict` gave, on ``device``."""
        self.names, found = saved["names"], saved["found"]
        self.found = None if found is None else found.to(device)


def step_if(good: Tensor, optimizer: torch.optim.Optimizer) -> None:
    """An optimizer's step, undone where ``good`` is false, without asking the device.

    Args:
        good: a boolean scalar, on the parameters' device.
        optimizer: of few parameters: all of them and their state are copied.
    """
    params = [p for group in optimizer.param_groups for p in group["params"]]
    weights = [p.detach().clone() for p in params]
    states = [_tensors(optimizer.state.get(p, {})) for p in params]
    copies = [{key: value.clone() for key, value in state.items()} for state in states]
    optimizer.step()
    with torch.no_grad():
        for p, before, copy in zip(params, weights, copies, strict=True):
            p.copy_(torch.where(good, p, before))
            for key, value in _tensors(optimizer.state.get(p, {})).items():
                if value.device == good.device:  # Adam counts its steps on the CPU
                    old = copy.get(key, torch.zeros_like(value))
                    value.copy_(torch.where(good, value, old))


def _tensors(state: Mapping[str, Any]) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if isinstance(value, Tensor)}
