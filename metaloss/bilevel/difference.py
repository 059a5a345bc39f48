r"""The hypergradient from first-order passes alone: adjoint steps with central differences.

.. math:: J_w z\,u \approx \frac{z(w + \epsilon u) - z(w - \epsilon u)}{2 \epsilon}, \qquad
          \nabla^2_w L\,u \approx \frac{\nabla_w L(w + \epsilon u) - \nabla_w L(w - \epsilon u)}
          {2 \epsilon}, \qquad
          \epsilon = \eta\,\frac{\lVert w \rVert}{\lVert u \rVert}

Not exact. The error of rounding grows as :math:`1 / \epsilon`; that of the difference as
:math:`\epsilon`, for a network of rectifiers has kinks everywhere. With :math:`\eta` a quarter of
the square root of the machine's precision the two are about the same size for logits. Gradients
jump at a kink, which no scale helps: for more than one step take float64, or smooth activations. It
asks nothing of the network but gradients, so kernels without a forward-mode rule or a second
derivative will do.

One step length serves where the direction's numbers are of comparable size. Under a fresh Adam they
are not: a weight without a gradient has an entry of :math:`1 / \epsilon_{Adam}`, and the others
drown in its rounding errors. Where the first attempt cannot be trusted, the direction is taken
apart by the size of its numbers, and each part has a length of its own. What cannot be trusted then
either is refused: the two sides are not symmetrical around the middle, or the slope along the
direction is not that of the gradient (:mod:`metaloss.bilevel.consistency`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from metaloss.bilevel.adjoint import (
    Derivatives,
    HessianProduct,
    Step,
    by_adjoints,
    slope_in_outputs,
    theta_grads,
)
from metaloss.bilevel.consistency import disagreement, slope_along
from metaloss.bilevel.network import Params, gradient, leaves
from metaloss.bilevel.problem import Batches, Problem, Rehearsal
from metaloss.bilevel.solution import Solution
from metaloss.checks import InputError

UNEVEN, OFF = 0.1, 0.05
"""How far the two sides may be from lying evenly around the middle, in parts of the difference; and
the slope along a direction from the gradient's, in parts of their terms."""

PARTS = 20
"""How many step lengths to use at most, one for each order of magnitude of a direction's numbers.
"""


def difference(problem: Problem, rehearsal: Rehearsal) -> Solution:
    """Find the hypergradient by adjoint steps and central differences.

    Raises:
        InputError: the differences are lost in rounding errors, or the model computes something
            else from the same weights, batch and random numbers.
    """
    return by_adjoints(problem, rehearsal, CentralDifferences())


class CentralDifferences(Derivatives):
    """Central differences of logits at the first step, of gradients at later ones."""

    def theta_product(self, problem: Problem, step: Step, direction: Params) -> HessianProduct:
        """Compute the outputs on both sides of the weights."""

        def values(params: Params) -> list[Tensor]:
            with torch.no_grad():
                return [step.outputs_at(problem, params)]

        here = values(step.params)[0] if step.outputs is None else step.outputs
        slope = slope_in_outputs(problem, step.batches, here)
        at = Point(step.params, here, slope.detach(), step.grads)
        (tangent,) = derivative(values, at, direction)
        return HessianProduct({}, theta_grads(problem, slope, tangent))

    def product(self, problem: Problem, step: Step, direction: Params) -> HessianProduct:
        """Compute the gradient on both sides of the weights."""
        with torch.no_grad():
            known = step.outputs
            here = step.outputs_at(problem, step.params) if known is None else known

        def values(params: Params) -> list[Tensor]:
            params = leaves(params)
            outputs = step.outputs_at(problem, params)
            grads = gradient(_loss(problem, step.batches, outputs, here), params)
            return [outputs.detach(), *(grads[name] for name in step.grads)]

        slope = slope_in_outputs(problem, step.batches, here)
        at = Point(step.params, here, slope.detach(), step.grads)
        tangent, *products = derivative(values, at, direction)
        in_params = dict(zip(step.grads, products, strict=True))
        return HessianProduct(in_params, theta_grads(problem, slope, tangent))


class Point(NamedTuple):
    """Where a derivative is taken, and what is known there.

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
    """The derivative of some tensors along a direction in the weights.

    Args:
        values: the tensors as a function of the weights; the logits come first.
        at: where.
        direction: in the weights, by name; those that are missing do not move.

    Raises:
        InputError: no step length gives differences that can be trusted.
    """
    found, uneven = _differences(values, at, [direction])
    # Rounding alone leaves no more than this where one length serves.
    strict = 50 * max(torch.finfo(at.outputs.dtype).eps, 1e-12) ** 0.5
    if _trusted(at, direction, found[0], uneven, strict):
        return found
    found, uneven = _differences(values, at, by_size(direction))
    if _trusted(at, direction, found[0], uneven, 100 * strict):
        return found
    raise InputError(
        "strategy 'difference': expected outputs that change with the weights by more than "
        "rounding errors, and as their gradient says, got others; the model computes in half "
        "precision, draws random numbers of its own, or changes from call to call; use "
        "Lookahead(strategy='mixed') or 'unroll', or float64"
    )


def _trusted(at: Point, direction: Params, tangent: Tensor, uneven: Tensor, limit: float) -> bool:
    by_outputs = slope_along({"outputs": at.slope}, {"outputs": tangent})
    off = disagreement(slope_along(at.grads, direction), by_outputs, tolerance=1.0)
    too_uneven = uneven.norm() > min(limit, UNEVEN) * tangent.norm()
    return not bool(too_uneven | (off > min(limit, OFF)))  # NaN and infinity are told elsewhere


def _differences(
    values: Callable[[Params], list[Tensor]], at: Point, parts: list[Params]
) -> tuple[list[Tensor], Tensor]:
    """The derivative along the sum of the parts, and how uneven the sides of the logits are."""
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
    """A direction as a sum of parts whose numbers are of comparable size.

    Example:
        >>> import torch
        >>> from metaloss.bilevel.difference import by_size
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


def _loss(problem: Problem, batches: Batches, outputs: Tensor, here: Tensor) -> Tensor:
    """The adjusted loss nearby; features that derivatives hold fixed are those of ``here``."""
    return problem.training_loss(outputs, batches, features_of=here)


def scale_of(params: Params, direction: Params) -> Tensor:
    """How far to go along a direction: the same part of the weights' length for all of them."""
    precision = max(torch.finfo(p.dtype).eps for p in params.values())
    length, along = (get_total_norm(list(t.values())) for t in (params, direction))
    one = torch.ones_like(length)
    length, along = (torch.where(norm > 0, norm, one) for norm in (length, along))
    return precision**0.5 / 4 * length / along


def moved(params: Params, direction: Params, scale: Tensor) -> Params:
    """The weights, moved along a direction."""
    return {n: p + scale * direction[n] if n in direction else p for n, p in params.items()}
