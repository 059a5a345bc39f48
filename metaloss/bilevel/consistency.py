r"""Checks whether two passes that have to agree do agree.

A second pass goes through the same weights and batch as the step's own pass, and draws the same
random numbers. So its outputs are the same. And the slope of the loss along a direction :math:`u`
is known twice: from the step's gradient :math:`g`, and from the tangent :math:`\dot z` of the
second pass's outputs, or from its gradient:

.. math:: \sum_i \Bigl\langle \frac{\partial L}{\partial z_i}, \dot z_i \Bigr\rangle
          = \langle g, u \rangle

Both comparisons cost next to nothing. They fail for a model that draws from a generator of its own,
that changes what it computes from call to call, or whose gradient is not that of its outputs; and
for a training step whose gradient was changed on its way to the optimizer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from metaloss.bilevel.torch_rules import as_real


class Slope(NamedTuple):
    """An inner product.

    Attributes:
        value: the sum of the products, a scalar.
        size: the sum of their absolute values.
    """

    value: Tensor
    size: Tensor


def slope_along(grads: Mapping[str, Tensor], direction: Mapping[str, Tensor]) -> Slope:
    """Compute the slope along a direction from the gradient.

    Args:
        grads: by name.
        direction: likewise, of the same parameters or of some of them.
    """
    values, sizes = [], []
    for name, u in direction.items():  # one at a time: together they are as large as the model
        if name in grads:
            products = as_real(grads[name]) * as_real(u)
            values.append(products.sum())
            sizes.append(products.abs().sum())
    return Slope(torch.stack(values).sum(), torch.stack(sizes).sum())


def disagreement(one: Slope, other: Slope, tolerance: float | None = None) -> Tensor:
    """Return how far apart two slopes are, in multiples of a tolerance; a scalar.

    Args:
        one: a slope.
        other: what should be the same.
        tolerance: in parts of the sizes. If not given, more than rounding explains: 1e-6 in
            float64, and a hundredth in single precision, inside of which a model may use half
            precision.

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
    """Return how far apart two passes' outputs are, in multiples of what rounding explains.

    Args:
        outputs: ``[samples, outputs]``.
        again: the outputs of a pass that has to give the same.
    """
    finfo = torch.finfo(outputs.dtype)
    length = outputs.norm().clamp_min(finfo.tiny / finfo.eps)
    return (again - outputs).norm() / length / (10 * finfo.eps**0.5)
