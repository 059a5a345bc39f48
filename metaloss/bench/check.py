"""Whether the methods find the same hypergradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from metaloss.bench.methods import REFERENCE, Maker
from metaloss.bench.trial import STEPS_BEFORE, Trial, adjusted_step

FAILED = "failed"
"""Where a job says why it found nothing."""

FRESH, LIVE = "fresh", "live"
"""States to compare at: before the first step, and after some, with a momentum to take over."""

Found = dict[str, dict[str, Any]]


def relative_errors(trial: Trial, makers: Mapping[str, Maker]) -> Found:
    """Each method's hypergradient against the reference's.

    What is compared is what reaches the adjuster's optimizer in a whole iteration, so that the
    very thing that is timed is checked.

    Args:
        trial: before its first step; it is left alone.
        makers: by name, the reference among them.

    Returns:
        For each name the relative error at each state, or under ``"failed"`` why there is none.
    """
    live = trial.twin()
    for _ in range(STEPS_BEFORE):
        adjusted_step(live)
    found: Found = {name: {} for name in makers}
    for state, begin in ((FRESH, trial), (LIVE, live)):
        expected = hypergradient(begin, makers[REFERENCE])
        for name, make in makers.items():
            if FAILED in found[name]:
                continue
            try:
                error = relative_error(hypergradient(begin, make), expected)
            except Exception as problem:  # whatever a peer raises is worth a line in the table
                found[name] = {FAILED: said(problem)}
            else:
                found[name][state] = error
    return found


def hypergradient(trial: Trial, make: Maker) -> Tensor:
    """What the adjuster's optimizer is given in one iteration from a copy of the trial."""
    twin = trial.twin()
    seen: list[Tensor] = []

    def see(*_: Any) -> None:
        seen.append(
            torch.cat([theta.grad.flatten() for theta in twin.theta if theta.grad is not None])
        )

    twin.meta_learner.optimizer.register_step_pre_hook(see)
    make(twin)()
    (found,) = seen
    return found.double()


def relative_error(found: Tensor, expected: Tensor) -> float:
    """The length of the difference over the length of what was expected."""
    return ((found - expected).norm() / expected.norm()).item()


def said(problem: BaseException) -> str:
    """An exception as one line."""
    lines = str(problem).split("\n", maxsplit=1)
    return f"{type(problem).__name__}: {lines[0]}".rstrip(": ")
