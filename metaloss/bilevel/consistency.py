r"""Checks that two passes over the same step agree.

A second pass uses the same weights, batch and random numbers as the step's own pass, so its outputs
have to be the same. The slope of the loss along a direction :math:`u` is also known twice. It
follows from the step's gradient :math:`g`, and again from the second pass: from its gradient, or
from the tangent :math:`\dot z` of its outputs:

.. math:: \sum_i \Bigl\langle \frac{\partial L}{\partial z_i}, \dot z_i \Bigr\rangle
          = \langle g, u \rangle

Both comparisons cost next to nothing. They fail for a model that draws from a random generator of
its own, that computes a different function in each call, or whose gradient is not the gradient of
its outputs. They also fail for a training step whose gradient was changed before the optimizer used
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from metaloss.bilevel.optimizer.torch_rules import as_real
from metaloss.processes import mean_over


class Slope(NamedTuple):
    """An inner product of a gradient and a direction.

    Attributes:
        value: the sum of the products, a scalar.
        size: the sum of their absolute values.
    """

    value: Tensor
    size: Tensor


def slope_along(grads: Mapping[str, Tensor], direction: Mapping[str, Tensor]) -> Slope:
    """Compute the slope along a direction from the gradient.

    Args:
        grads: the gradients by name.
        direction: the direction by name; parameters that are missing do not move.
    """
    values, sizes = [], []
    for name, u in direction.items():  # one at a time: together they are as large as the model
        if name in grads:
            products = as_real(grads[name]) * as_real(u)
            values.append(products.sum())
            sizes.append(products.abs_().sum())
    return Slope(torch.stack(values).sum(), torch.stack(sizes).sum())


def disagreement(one: Slope, other: Slope, tolerance: float | None = None) -> Tensor:
    """Return how far apart two slopes are, in multiples of a tolerance; a scalar.

    Args:
        one: a slope.
        other: a slope that should be the same.
        tolerance: relative to the slopes' sizes. If not given, it is larger than rounding errors:
            1e-6 in float64, and 0.01 in float32, because a float32 model may use half precision
            inside.

    Example:
        >>> import torch
        >>> from metaloss.bilevel.consistency import disagreement, slope_along
        >>> w, x, u = torch.tensor([2.0]), torch.tensor([3.0]), torch.tensor([0.5])
        >>> by_gradient = slope_along({"w": x}, {"w": u})
        >>> by_tangent = slope_along({"outputs": torch.ones(1)}, {"outputs": x * u})
        >>> disagreement(by_gradient, by_tangent)
        tensor(0.)
    """
    finfo = torch.finfo(one.value.dtype)
    if tolerance is None:
        tolerance = 1e-6 if finfo.eps < 1e-10 else max(0.01, finfo.eps)
    size = (one.size + other.size).clamp_min(finfo.tiny / finfo.eps)  # below it, digits underflow
    return (one.value - other.value).abs() / size / tolerance


def outputs_differ(outputs: Tensor, again: Tensor) -> Tensor:
    """Return how far apart the outputs of two passes are, in multiples of a rounding tolerance.

    Args:
        outputs: the outputs of the first pass, ``[samples, outputs]``.
        again: the outputs of the second pass, which should be the same.
    """
    return _distance(outputs, again) / (10 * torch.finfo(outputs.dtype).eps ** 0.5)


def joint_slope(own: Slope) -> Slope:
    """Return the slope of the joint loss of all processes, from that of this process's part."""
    value, size = mean_over([own.value, own.size])
    return Slope(value, size)


class Pass(NamedTuple):
    """The results of a pass through a step's batches.

    Attributes:
        outputs: ``[samples, outputs]``.
        slopes: the loss's gradients in the outputs, if they are known.
        along: the slope of the loss along the direction.
    """

    outputs: Tensor
    slopes: Tensor | None
    along: Slope


def real_step_differs(step: Pass, again: Pass) -> Tensor:
    """Return how far a second pass is from a real step's own, in multiples of a tolerance.

    A real step may run in half precision, and then its outputs show it. They are then compared with
    a larger tolerance, and the slope along the direction is not compared: it may consist of
    rounding errors alone.
    """
    outputs = _distance(step.outputs, again.outputs)
    slopes = torch.zeros_like(outputs)
    if step.slopes is not None and again.slopes is not None:
        slopes = _distance(step.slopes, again.slopes)
    if torch.finfo(outputs.dtype).eps < 1e-10:
        apart = outputs_differ(step.outputs, again.outputs)
        return apart.maximum(slopes / 1e-6).maximum(disagreement(step.along, again.along))
    in_full = disagreement(step.along, again.along, tolerance=1e-3).maximum(slopes / 1e-3)
    in_half = (outputs / 0.05).maximum(slopes / 0.2)
    return torch.where(outputs < 1e-4, in_full, in_half)


def _distance(one: Tensor, other: Tensor) -> Tensor:
    finfo = torch.finfo(one.dtype)
    return (other - one).norm() / one.norm().clamp_min(finfo.tiny / finfo.eps)
