r"""Whether passes that have to agree do agree: what cannot be seen in a model shows in its results.

A tangent pass goes through the same weights and batch as the step's own pass, and draws the same
random numbers. Two things follow. Its outputs are the same. And the slope of the loss along the
direction :math:`u` is known twice, from the gradient :math:`g` and from the tangent :math:`\dot z`
of the outputs:

.. math:: \sum_i \Bigl\langle \frac{\partial L}{\partial z_i}, \dot z_i \Bigr\rangle
          = \langle g, u \rangle

Both cost next to nothing to look at. They fail for a model that draws from a generator of its own,
that changes what it computes from call to call, or whose gradient is not that of its outputs.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from metaloss.bilevel.torch_rules import as_real

Tensors = Mapping[str, Tensor]


def slopes_differ(slope: Tensor, tangent: Tensor, grads: Tensors, direction: Tensors) -> Tensor:
    """How far apart the two slopes along a direction are, in parts of what they are sums of.

    Args:
        slope: the loss's gradient in the outputs, ``[batch, outputs]``.
        tangent: of the outputs, likewise.
        grads: the loss's gradient in the parameters, by name.
        direction: in the same parameters, or in some of them.

    Returns:
        A scalar from 0 to 1; 0 where both are lost in underflow.

    Example:
        >>> import torch
        >>> from metaloss.bilevel.consistency import slopes_differ
        >>> w, x, u = torch.tensor([2.0]), torch.tensor([[3.0]]), torch.tensor([0.5])
        >>> slopes_differ(torch.ones(1, 1), x * u, {"w": x[0]}, {"w": u})
        tensor(0.)
    """
    by_tangent = slope * tangent
    by_gradient, sizes = [], [by_tangent.abs().sum()]
    for name, u in direction.items():  # one at a time: together they are as large as the model
        product = as_real(grads[name]) * as_real(u)
        by_gradient.append(product.sum())
        sizes.append(product.abs().sum())
    gap = by_tangent.sum() - torch.stack(by_gradient).sum()
    most = torch.stack(sizes).sum()
    return gap.abs() / most.clamp_min(_least(most.dtype))


def outputs_differ(outputs: Tensor, again: Tensor) -> Tensor:
    """How far apart two passes' outputs are, in parts of their length; a scalar.

    Args:
        outputs: ``[batch, outputs]``.
        again: of a pass that has to give the same.
    """
    return (again - outputs).norm() / outputs.norm().clamp_min(_least(outputs.dtype))


def limits(dtype: torch.dtype) -> tuple[float, float]:
    """How far apart outputs and slopes of exact passes may be, for rounding alone.

    Args:
        dtype: of the outputs. Half precision may be used inside of a model in single precision.
    """
    precision = torch.finfo(dtype).eps
    return 10 * precision**0.5, 1e-6 if precision < 1e-10 else max(0.01, precision)


def _least(dtype: torch.dtype) -> float:
    """Below this, the terms of a sum lose digits to underflow."""
    limits_of = torch.finfo(dtype)
    return limits_of.tiny / limits_of.eps
