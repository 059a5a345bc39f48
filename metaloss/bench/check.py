"""Whether all methods find the same hypergradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from metaloss.bench.methods import REFERENCE, Maker
from metaloss.bench.trial import STEPS_BEFORE, Trial, adjusted_step

FAILED = "failed"
"""The key of the reason why a job found nothing."""

FRESH, LIVE = "fresh", "live"
"""States to compare at: before the first step, and after some, when there is momentum."""

Found = dict[str, dict[str, Any]]


def relative_errors(trial: Trial, makers: Mapping[str, Maker]) -> Found:
    """Compare each method's hypergradient with the reference's.

    The compared gradient is the one that the adjuster's optimizer receives in a whole iteration,
    so that the check covers exactly what is timed.

    Args:
        trial: before its first step; it is not changed.
        makers: by method name; the reference must be among them.

    Returns:
        For each method the relative error at each state, or under ``"failed"`` why there is none.
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
            except Exception as problem:  # a peer may raise anything: the table shows it
                found[name] = {FAILED: error_line(problem)}
            else:
                found[name][state] = error
    return found


def hypergradient(trial: Trial, make: Maker) -> Tensor:
    """Return the gradient that the adjuster's optimizer receives in one iteration.

    The iteration is made on a copy of the trial.

    Returns:
        The gradients of all parameters, flattened into one double-precision vector.
    """
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
    """Return the norm of the difference over the norm of the expected vector."""
    return ((found - expected).norm() / expected.norm()).item()


def error_line(problem: BaseException) -> str:
    """Format an exception as one line."""
    lines = str(problem).split("\n", maxsplit=1)
    return f"{type(problem).__name__}: {lines[0]}".rstrip(": ")
