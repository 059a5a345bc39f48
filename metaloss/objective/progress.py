"""How far training has come."""

from __future__ import annotations

import warnings

import torch


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def warn_of_progress() -> None:
    """Warns that nobody says how far training has come."""
    warnings.warn(
        "this criterion changes as training proceeds, but criterion.progress(fraction) was never "
        "called: it stays as it is at one point of training (snapshots: the last one; the Progress "
        "feature: 0). Call criterion.progress(step / total_steps) before each step or epoch, or "
        "criterion.progress(1.0) once if that is what you want",
        stacklevel=2,
    )
