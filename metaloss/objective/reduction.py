"""From the losses of samples to the loss of a batch, as ``nn.CrossEntropyLoss`` reduces."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from metaloss.checks import InputError, is_number, require, seen
from metaloss.kinds import CLASSIFICATION, Kind
from metaloss.losses.numerics import full_precision
from metaloss.objective.samples import Samples

IGNORED = -100
"""The label that torch ignores if nothing else is said."""


def check_settings(kind: Kind, reduction: str, ignore_index: int, weight: Any) -> None:
    """Raise an error unless the settings fit one another.

    Raises:
        InputError: an unknown reduction; a label to ignore that is no whole number; a weight that
            is negative or not finite; or a weight or a label to ignore for values.
    """
    known = ("mean", "sum", "none")
    require(reduction in known, f"reduction: expected one of {known}, got {reduction!r}")
    require(
        is_number(ignore_index) and int(ignore_index) == ignore_index,
        f"ignore_index: expected a whole number, got {ignore_index!r}",
    )
    plain = weight is None and ignore_index == IGNORED
    require(
        plain or kind == CLASSIFICATION,
        f"weight and ignore_index: expected none for {kind.name}, whose targets are no classes, "
        f"got {'ignore_index ' + str(ignore_index) if weight is None else 'a weight'}",
    )
    if weight is not None:
        _check_weight(weight)


def weighted(
    losses: Float[Tensor, " samples"], samples: Samples, weight: Float[Tensor, " classes"] | None
) -> Float[Tensor, " samples"]:
    """Return each loss times the weight of its class, and 0 where the label is ignored."""
    if weight is not None:
        losses = losses * _weights(losses, samples, weight)
    return losses if samples.kept is None else losses.where(samples.kept, 0.0)


def reduced(
    losses: Float[Tensor, " samples"],
    samples: Samples,
    weight: Float[Tensor, " classes"] | None,
    reduction: str,
    count: int | Tensor | None = None,
) -> Float[Tensor, " *losses"]:
    r"""Reduces the losses of samples.

    .. math:: \frac{\sum_i w_{y_i} \ell_i}{\sum_i w_{y_i}}, \qquad \sum_i w_{y_i} \ell_i,
              \qquad (w_{y_i} \ell_i)_i

    Args:
        losses: :math:`\ell`, without weights.
        samples: the samples, of which those that are kept count.
        weight: :math:`w`; 1 for each class if ``None``.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        count: the number to divide the sum by instead, that of several accumulated batches.

    Returns:
        A scalar; for ``"none"`` the losses in the shape of the targets.

    Raises:
        InputError: a weight for another number of classes; or, on the CPU, a mean over nothing.

    Example:
        >>> import torch
        >>> from metaloss.kinds import CLASSIFICATION
        >>> from metaloss.objective.reduction import reduced
        >>> from metaloss.objective.samples import as_samples
        >>> outputs, labels = torch.zeros(3, 2), torch.tensor([0, 1, -100])
        >>> samples = as_samples(CLASSIFICATION, outputs, labels, None, -100)
        >>> reduced(torch.tensor([1.0, 2.0, 9.0]), samples, torch.tensor([1.0, 3.0]), "mean")
        tensor(1.7500)
    """
    if reduction == "mean" and _simple(samples, weight, count):
        return losses.mean()
    each = weighted(losses, samples, weight)
    if count is not None:
        return each.sum() / torch.as_tensor(count, device=each.device)
    if reduction == "none":
        return samples.shaped(each)
    if reduction == "sum":
        return each.sum()
    return each.sum() / _total(losses, samples, weight)


def plain(
    kind: Kind,
    samples: Samples,
    weight: Float[Tensor, " classes"] | None,
    reduction: str,
    count: int | Tensor | None = None,
) -> Float[Tensor, " *losses"]:
    """Return the plain loss of a kind, cross entropy for classes; arguments as for reduced."""
    outputs = full_precision(samples.outputs)
    if reduction == "mean" and _simple(samples, weight, count):
        return kind.mean_loss(outputs, samples.targets)
    losses = kind.losses(outputs, samples.targets)
    return reduced(losses, samples, weight, reduction, count)


def _simple(samples: Samples, weight: Tensor | None, count: int | Tensor | None) -> bool:
    """Whether a mean is the plain one, over one sample or more."""
    plain = weight is None and samples.kept is None and count is None
    return plain and len(samples.outputs) > 0


def _weights(losses: Tensor, samples: Samples, weight: Tensor) -> Tensor:
    classes = samples.outputs.shape[1]
    if len(weight) != classes:
        raise InputError(
            f"weight: expected one for each of {classes} classes, as the outputs have, "
            f"got {len(weight)}"
        )
    return weight.to(losses.dtype).index_select(0, samples.targets)


def _total(losses: Tensor, samples: Samples, weight: Tensor | None) -> Tensor:
    """Return what the losses are divided by: the number of samples, each with its weight."""
    ones = torch.ones_like(losses) if weight is None else _weights(losses, samples, weight)
    total = (ones if samples.kept is None else ones.where(samples.kept, 0.0)).sum()
    if samples.readable and not total > 0:
        raise InputError(
            "targets: expected one or more to take the mean of, got none that is not ignored"
            + ("" if weight is None else " and whose class has a weight above 0")
        )
    return total


def _check_weight(weight: Any) -> None:
    fits = isinstance(weight, Tensor) and weight.ndim == 1 and weight.is_floating_point()
    require(fits, f"weight: expected floating-point [classes], got {seen(weight)}")
    bad = int((~(weight.isfinite() & (weight >= 0))).sum())
    require(
        bad == 0,
        f"weight: expected numbers of at least 0, got {bad} of {len(weight)} that are negative, "
        "NaN or infinite",
    )
