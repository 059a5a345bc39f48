"""Skips steps whose gradient is not finite: those of the network, and those of the adjuster.

A meta step is skipped without waiting for the device: the adjuster is small, so that its step can
be undone. A network may be large. So its gradient is read once before each step, which on a CPU
takes no time; on an accelerator it is one wait per step, as a gradient scaler of torch has it.
With ``max_skipped`` 0 no step is skipped, and nothing is read before the end of the epoch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from metaloss.checks import require


class Skipped(NamedTuple):
    """The steps of an epoch that were not finite: meta steps, or ordinary ones.

    They were skipped, unless ``max_skipped`` is 0.

    Attributes:
        number: how many there were.
        step: the first of them, counted from 0 over the whole run.
        tensor: what was not finite at that step: the first parameter whose gradient was not, or
            ``"loss"``; with ``max_skipped`` 0 ``"the training loss"`` or ``"a gradient"``.
    """

    number: int
    step: int
    tensor: str


@torch.no_grad()
def first_bad(loss: Tensor, params: Sequence[nn.Parameter]) -> Tensor | None:
    """Return the first of a loss and the gradients that is not finite; ``None`` if all are.

    An accelerator is waited for once.

    Returns:
        The loss itself, or the parameter of the gradient.

    Example:
        >>> import torch
        >>> from metaloss.training.non_finite import first_bad
        >>> layer = torch.nn.Linear(2, 1)
        >>> layer(torch.tensor([[1.0, torch.inf]])).sum().backward()
        >>> first_bad(torch.tensor(0.5), [layer.bias, layer.weight]) is layer.weight
        True
    """
    if loss.device.type == "cpu":  # a few microseconds a tensor, less than all at once
        total = abs(loss.item()) + sum(abs(grad.sum().item()) for grad in _gradients(params))
    else:
        total = (loss + largest_gradient(params).to(loss)).item()
    if math.isfinite(total):
        return None
    if not loss.isfinite():
        return loss
    # The sum of values that are finite may overflow.
    bad = (p for p in params if p.grad is not None and not _values(p.grad).isfinite().all())
    return next(bad, None)


@torch.no_grad()
def largest_gradient(params: Sequence[nn.Parameter]) -> Tensor:
    """Return the largest absolute value in the gradients, or NaN if one is NaN; does not wait.

    Example:
        >>> import torch
        >>> from metaloss.training.non_finite import largest_gradient
        >>> layer = torch.nn.Linear(2, 1)
        >>> layer(torch.tensor([[1.0, -3.0]])).sum().backward()
        >>> largest_gradient([layer.weight, layer.bias])
        tensor(3.)
    """
    return get_total_norm(_gradients(params), norm_type=math.inf)


def _gradients(params: Sequence[nn.Parameter]) -> list[Tensor]:
    found = (_values(p.grad) for p in params if p.grad is not None)
    return [grad for grad in found if grad.numel() > 0]


def _values(grad: Tensor) -> Tensor:
    return grad._values() if grad.is_sparse else grad


class NonFiniteGuard:
    """Counts, on the device, the gradients of an epoch that were not finite."""

    def __init__(self) -> None:
        self.names: list[str] = []
        # The count, the first step, its first tensor, how many in a row now and at most.
        self.found: Tensor | None = None

    def check(self, gradient: Mapping[str, Tensor], step: int) -> Tensor:
        """Check a gradient and remember whether it was finite.

        It has the same names at each call.

        Returns:
            Whether every value is finite: a boolean scalar on the device of the gradients.
        """
        self.names = list(gradient)
        bad = torch.stack([~g.isfinite().all() for g in gradient.values()])
        if self.found is None:
            self.found = torch.zeros(5, dtype=torch.int64, device=bad.device)
        count, first_step, first_tensor, row, longest = self.found.unbind()
        new = bad.any() & (count == 0)
        row = (row + 1) * bad.any()
        self.found = torch.stack(
            [
                count + bad.any(),
                first_step + new * step,
                torch.where(new, bad.int().argmax(), first_tensor),
                row,
                torch.maximum(longest, row),
            ]
        )
        return ~bad.any()

    def next_epoch(self) -> NonFiniteGuard:
        """Return the guard of the next epoch, which goes on with the number in a row."""
        other = NonFiniteGuard()
        if self.found is not None:
            other.names = self.names
            other.found = torch.zeros_like(self.found)
            other.found[3:] = self.found[3]
        return other

    def skipped(self) -> Skipped | None:
        """Return the steps that were not finite, ``None`` if all were; waits for the device."""
        if self.found is None:
            return None
        count, step, tensor, _, _ = self.found.tolist()
        return Skipped(count, step, self.names[tensor]) if count else None

    def check_in_a_row(self, most: int) -> None:
        """Raise an error if so many meta steps in a row were skipped; waits for the device.

        Raises:
            InputError: there were as many, or more.
        """
        skipped = self.skipped()
        longest = 0 if self.found is None else int(self.found[4])
        require(
            skipped is None or longest < most,
            f"{longest} meta steps in a row had a hypergradient that is not finite, first in "
            f"{skipped and skipped.tensor}; check the meta samples and the meta loss, or lower the "
            "learning rates; the adjuster is as it was before them",
        )

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
