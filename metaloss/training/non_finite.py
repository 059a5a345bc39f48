"""Skips meta steps whose hypergradient is not finite, without waiting for the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Skipped(NamedTuple):
    """The meta steps of an epoch that were skipped.

    Attributes:
        number: how many there were.
        step: the first skipped meta step, counted from 0 over the whole run.
        tensor: the first parameter of the adjuster whose gradient was not finite at that step.
    """

    number: int
    step: int
    tensor: str


class NonFiniteGuard:
    """Counts, on the device, the hypergradients of an epoch that were not finite."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.found: Tensor | None = None  # count, first step, its first tensor

    def check(self, hypergradient: Mapping[str, Tensor], step: int) -> Tensor:
        """Check a hypergradient and remember whether it was finite.

        Args:
            hypergradient: the gradient of each parameter of the adjuster, by name; the same names
                at each call.
            step: the number of the meta step in the whole run.

        Returns:
            Whether every value is finite: a boolean scalar on the device of the gradients.
        """
        self.names = list(hypergradient)
        bad = torch.stack([~g.isfinite().all() for g in hypergradient.values()])
        if self.found is None:
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
        """Return the skipped meta steps, or ``None`` if there were none; waits for the device."""
        if self.found is None:
            return None
        count, step, tensor = self.found.tolist()
        return Skipped(count, step, self.names[tensor]) if count else None

    def state_dict(self) -> dict[str, Any]:
        """Return the counts so far."""
        return {"names": self.names, "found": self.found}

    def load_state_dict(self, saved: Mapping[str, Any], device: torch.device) -> None:
        """Restore what :meth:`state_dict` returned, on ``device``."""
        self.names, found = saved["names"], saved["found"]
        self.found = None if found is None else found.to(device)


def step_if(good: Tensor, optimizer: torch.optim.Optimizer) -> None:
    """Take an optimizer step, and undo it where ``good`` is false; never waits for the device.

    Args:
        good: a boolean scalar on the parameters' device.
        optimizer: an optimizer with few parameters: they and their state are copied.
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
