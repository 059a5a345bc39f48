r"""The hypergradient from first-order passes only: the adjoint method with central differences.

.. math:: J_w z\,u \approx \frac{z(w + \epsilon u) - z(w - \epsilon u)}{2 \epsilon}, \qquad
          \nabla^2_w L\,u \approx \frac{\nabla_w L(w + \epsilon u) - \nabla_w L(w - \epsilon u)}
          {2 \epsilon}, \qquad
          \epsilon = \eta\,\frac{\lVert w \rVert}{\lVert u \rVert}

This is an approximation. Its rounding error grows as :math:`1 / \epsilon`. Its truncation error
grows as :math:`\epsilon`, because a network of rectifiers has kinks everywhere. With :math:`\eta` a
quarter of the square root of the machine precision, the two errors of the logits are about the same
size. Gradients jump at a kink, and no step length avoids that: for more than one step, use float64
or smooth activations. The network only needs gradients, so its kernels may lack a forward-mode rule
or a second derivative.

One step length is enough if the entries of the direction are of similar size. With a fresh Adam
they are not: a weight without a gradient has an entry of :math:`1 / \epsilon_{Adam}`, and the other
entries are lost in its rounding errors. If the first attempt fails the checks, the direction is
split by the size of its entries, and each part gets a step length of its own. An error is raised if
that fails too. The checks are that the two sides are symmetrical around the middle, and that the
slope along the direction agrees with the gradient (:mod:`metaloss.bilevel.consistency`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from metaloss.bilevel.consistency import Pass, disagreement, joint_slope, slope_along
from metaloss.bilevel.network import Params, gradient, leaves
from metaloss.bilevel.problem import Problem
from metaloss.bilevel.step import Step
from metaloss.bilevel.strategies.derivatives import (
    Derivatives,
    HessianProduct,
    slope_in_outputs,
    theta_grads,
)
from metaloss.checks import InputError
from metaloss.processes import largest_over

UNEVEN, OFF = 0.1, 0.05
"""The largest asymmetry of the two sides, relative to the difference, and the largest error of the
slope along a direction, relative to the size of its terms."""

PARTS = 20
"""The largest number of step lengths, one for each order of magnitude of a direction's entries."""


class CentralDifferences(Derivatives):
    """Central differences of logits at the first step, of gradients at later ones.

    Raises:
        InputError: in a derivative, if the differences are lost in rounding errors, or the model
            gives different outputs for the same weights, batch and random numbers.
    """

    def theta_product(self, problem: Problem, step: Step, direction: Params) -> HessianProduct:
        """Differentiate the outputs, computed on both sides of the weights."""

        def values(params: Params) -> list[Tensor]:
            with torch.no_grad():
                return [step.outputs_at(problem, params)]

        here = _outputs(problem, step)
        slope = slope_in_outputs(problem, step.batches, here)
        at = Point(step.params, here, slope.detach(), step.grads)
        (tangent,) = derivative(values, at, direction)
        along = slope_along({"outputs": at.slope}, {"outputs": tangent})
        gap = step.disagreement(Pass(here, at.slope, along), direction) if step.is_real else None
        return HessianProduct({}, theta_grads(problem, slope, tangent), gap)

    def product(self, problem: Problem, step: Step, direction: Params) -> HessianProduct:
        """Differentiate the gradient, computed on both sides of the weights."""
        here = _outputs(problem, step)

        def values(params: Params) -> list[Tensor]:
            params = leaves(params)
            outputs = step.outputs_at(problem, params)
            # A detached criterion takes its features from here.
            loss = problem.training_loss(outputs, step.batches, features_of=here)
            grads = gradient(loss, params)
            return [
                outputs.detach(),
                *(grads.get(name, torch.zeros_like(g)) for name, g in step.grads.items()),
            ]

        slope = slope_in_outputs(problem, step.batches, here)
        at = Point(step.params, here, slope.detach(), step.grads)
        tangent, *products = derivative(values, at, direction)
        in_params = dict(zip(step.grads, products, strict=True))
        return HessianProduct(in_params, theta_grads(problem, slope, tangent))


class Point(NamedTuple):
    """The point where a derivative is taken, and the known values there.

    Attributes:
        params: the weights.
        outputs: the logits there.
        slope: the loss's gradient in the logits.
        grads: the loss's gradient in the weights.
    """

    params: Params
    outputs: Tensor
    slope: Tensor
    grads: Params


def derivative(
    values: Callable[[Params], list[Tensor]], at: Point, direction: Params
) -> list[Tensor]:
    """Compute the derivative of some tensors along a direction in the weights.

    Args:
        values: the tensors as a function of the weights; the logits come first.
        at: the point where the derivative is taken.
        direction: a direction in the weights, by name; weights that are missing do not move.

    Raises:
        InputError: the differences fail the checks with every step length.
    """
    found, uneven = _differences(values, at, [direction])
    # If one step length is enough, rounding alone causes errors no larger than this.
    strict = 50 * max(torch.finfo(at.outputs.dtype).eps, 1e-12) ** 0.5
    if _trusted(at, direction, found[0], uneven, strict):
        return found
    found, uneven = _differences(values, at, by_size(direction))
    if _trusted(at, direction, found[0], uneven, 100 * strict):
        return found
    raise InputError(
        "strategy 'difference': expected outputs that change with the weights by more than "
        "rounding errors, and as their gradient says, got differences that do not; the model "
        "computes in half precision, draws random numbers from its own generator, or changes from "
        "call to call; use Lookahead(strategy='mixed') or 'unroll', or float64"
    )


def _trusted(at: Point, direction: Params, tangent: Tensor, uneven: Tensor, limit: float) -> bool:
    by_outputs = joint_slope(slope_along({"outputs": at.slope}, {"outputs": tangent}))
    off = disagreement(slope_along(at.grads, direction), by_outputs, tolerance=1.0)
    too_uneven = uneven.norm() > min(limit, UNEVEN) * tangent.norm()
    bad = too_uneven | (off > min(limit, OFF))  # NaN and infinity are reported elsewhere
    return not bool(largest_over(bad))


def _differences(
    values: Callable[[Params], list[Tensor]], at: Point, parts: list[Params]
) -> tuple[list[Tensor], Tensor]:
    """Return the derivative along the sum of the parts, and the asymmetry of the logits."""
    found: list[Tensor] = []
    uneven = torch.zeros_like(at.outputs)
    for part in parts:
        scale = scale_of(at.params, part)
        ahead, behind = (values(moved(at.params, part, side)) for side in (scale, -scale))
        each = [(a - b) / (2 * scale) for a, b in zip(ahead, behind, strict=True)]
        found = [total + e for total, e in zip(found, each, strict=True)] if found else each
        uneven += (ahead[0] + behind[0] - 2 * at.outputs).abs() / (2 * scale)
    return found, uneven


def by_size(direction: Params) -> list[Params]:
    """Split a direction into a sum of parts, each with entries of similar size.

    Example:
        >>> import torch
        >>> from metaloss.bilevel.strategies.difference import by_size
        >>> [part["w"].tolist() for part in by_size({"w": torch.tensor([1e9, 2.0, 0.0])})]
        [[1000000000.0, 0.0, 0.0], [0.0, 2.0, 0.0]]
    """
    sizes = {name: u.abs() for name, u in direction.items()}
    most = torch.stack([size.max() for size in sizes.values()]).max()
    parts = []
    for k in range(PARTS):
        above = most * 10.0**-k
        below = above / 10 if k < PARTS - 1 else torch.zeros_like(above)
        chosen = {
            name: torch.where((size > below) & (size <= above), direction[name], 0)
            for name, size in sizes.items()
        }
        part = {name: u for name, u in chosen.items() if bool(u.any())}
        if part:
            parts.append(part)
    return parts or [direction]


def scale_of(params: Params, direction: Params) -> Tensor:
    """Return the step length along a direction: a fixed fraction of the norm of the weights."""
    precision = max(torch.finfo(p.dtype).eps for p in params.values())
    length, along = (get_total_norm(list(t.values())) for t in (params, direction))
    one = torch.ones_like(length)
    length, along = (torch.where(norm > 0, norm, one) for norm in (length, along))
    return precision**0.5 / 4 * length / along


def moved(params: Params, direction: Params, scale: Tensor) -> Params:
    """Return the weights moved along a direction."""
    return {n: p + scale * direction[n] if n in direction else p for n, p in params.items()}


@torch.no_grad()
def _outputs(problem: Problem, step: Step) -> Tensor:
    """Return the outputs at the step's own weights, in full precision."""
    if step.outputs is not None and not step.is_real:
        return step.outputs
    return step.outputs_at(problem, step.params)
