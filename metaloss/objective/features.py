"""From samples to features, from features to hyperparameters, and what a conditioner remembers."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from metaloss.adjusters import BaseAdjuster
from metaloss.checks import InputError, seen
from metaloss.conditioners import Conditioner
from metaloss.conditioners.base import observed, tracked
from metaloss.conditioners.class_totals import ClassTotals
from metaloss.conditioners.concat import parts_of
from metaloss.conditioners.margin import margins
from metaloss.objective.samples import Samples, transformed
from metaloss.processes import joint_rows, sum_over, together


def features_of(
    conditioner: Conditioner | None, samples: Samples, *, detach: bool, track: bool = False
) -> Float[Tensor, "samples features"]:
    """Return the features of each sample, none without a conditioner.

    With ``detach`` they are constants in derivatives. With ``track`` the conditioner remembers the
    samples.

    Raises:
        InputError: the conditioner returns another shape than ``[samples, num_features]``; or it is
            to remember the samples inside a transform of ``torch.func``.
    """
    outputs = samples.outputs
    if conditioner is None:
        return outputs.new_empty(len(outputs), 0)
    outputs = outputs.detach() if detach else outputs
    if not track or (len(outputs) == 0 and not together()):  # the mean of nothing is NaN
        features = conditioner(outputs, samples.targets, samples.index)
    else:
        _check_memory(conditioner)
        if together() and conditioner.remembers:
            features = conditioner(outputs, samples.targets, samples.index)
            remember(conditioner, samples)
        else:
            if conditioner.remembers and not samples.finite:
                outputs = finite(outputs, samples.targets)
            features = tracked(conditioner, outputs, samples.targets, samples.index, samples.kept)
    expected = [len(outputs), conditioner.num_features]
    if not isinstance(features, Tensor) or list(features.shape) != expected:
        raise InputError(
            f"{type(conditioner).__name__}.forward: expected features [samples, num_features], "
            f"{expected}, got {seen(features)}"
        )
    return features


def remember(conditioner: Conditioner | None, samples: Samples) -> None:
    """Update the conditioner's memory, with the samples of all processes."""
    if conditioner is None or not conditioner.remembers:
        return
    outputs, targets, index, kept = samples.outputs, samples.targets, samples.index, samples.kept
    outputs = finite(outputs.detach(), targets)
    if together():
        _remember_together(conditioner, samples._replace(outputs=outputs))
    elif len(outputs) > 0:  # the mean of nothing is NaN
        observed(conditioner, outputs, targets, index, kept)


def _remember_together(conditioner: Conditioner, samples: Samples) -> None:
    """Update the memory with the samples of all processes.

    Sums over classes are small, and so they travel instead of the outputs where they are all that a
    conditioner needs.
    """
    outputs, targets, index, kept = samples.outputs, samples.targets, samples.index, samples.kept
    sums: list[ClassTotals] = []
    rows: list[Conditioner] = []
    for part in parts_of(conditioner):
        if isinstance(part, ClassTotals) and type(part).observe is ClassTotals.observe:
            sums.append(part)
        elif part.remembers:
            rows.append(part)
    own = [part.of_batch(outputs, targets, kept) for part in sums]
    for part, joint in zip(sums, sum_over(own), strict=True):
        part.add(joint)
    if not rows:
        return
    kept = targets.new_ones(len(targets), dtype=torch.bool) if kept is None else kept
    ids = [] if index is None else [index]
    outputs, targets, kept, *ids = joint_rows([outputs, targets, kept, *ids])
    index = ids[0] if ids else None
    if len(outputs) == 0:
        return  # the mean of nothing is NaN
    if kept.device.type == "cpu" and bool(kept.all()):  # elsewhere it would wait
        kept = None
    for part in rows:
        observed(part, outputs, targets, index, kept)


def _check_memory(conditioner: Conditioner) -> None:
    """Raise an error where a memory would keep what exists inside ``torch.func`` alone."""
    if conditioner.remembers and not torch.compiler.is_compiling() and transformed():
        raise InputError(
            f"{type(conditioner).__name__} remembers each batch, which torch.func.grad and vmap do "
            "not allow: call criterion.training_loss(outputs, targets) inside the transform, and "
            "criterion.observe(outputs, targets) outside it, once a step"
        )


def predicted(
    adjuster: BaseAdjuster, features: Float[Tensor, "samples features"]
) -> Float[Tensor, "samples hyperparameters"]:
    """Return the hyperparameters of each sample."""
    # In the adjuster's precision: half-precision logits must not round its constants.
    features = features.to(adjuster.low.dtype)
    device = features.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        with torch.autocast(device, enabled=False):
            return adjuster(features)
    return adjuster(features)


def finite(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the outputs with 0 in rows whose margin is not finite: a memory would keep it forever.

    They can occur on an accelerator, where values are not checked: a gradient scaler skips a step
    that overflows. The loss is computed from the outputs as they are. The logit of a class that was
    ruled out may be minus infinity, which leaves the margin finite.
    """
    values = outputs if targets.is_floating_point() else margins(outputs, targets).margin
    return outputs.where(values.isfinite().all(dim=1, keepdim=True), 0.0)
