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
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from metaloss.bilevel.adjoint import (
    Derivatives,
    Product,
    Pushed,
    Step,
    by_adjoints,
    theta_part,
)
from metaloss.bilevel.optimizers import Params
from metaloss.bilevel.problem import (
    Buffers,
    Problem,
    Shared,
    Solution,
    copied,
    gradient,
    leaves,
    put_back,
)


def difference(problem: Problem) -> Solution:
    """The hypergradient by adjoint steps and central differences."""
    return by_adjoints(problem, Differences())


class Differences(Derivatives):
    """Central differences of logits at the first step, of gradients at later ones."""

    shared: Shared | None = None
    first: Tensor
    relay: bool

    def __init__(self) -> None:
        self.later: list[Tensor] = []

    def first_gradient(self, problem: Problem, step: Step, buffers: Buffers) -> Params:
        """The gradient; its graph is the ordinary step's if it is shared."""
        params: Params = {**problem.params} if problem.share else leaves(step.params)
        outputs = problem.outputs(params, buffers, step.batch.inputs)
        self.first = outputs.detach()
        # A mask is drawn in the order of the memory: in another layout it would be another one.
        self.relay = torch.equal(torch.get_rng_state(), step.randomness.cpu)
        if problem.share:
            put_back(problem.buffers, buffers)
            self.shared = Shared(outputs, problem.randomness())
        loss = problem.adjusted_loss(outputs, step.batch)
        return gradient(loss, params, retain_graph=problem.share)

    def gradient(self, problem: Problem, step: Step, buffers: Buffers) -> Params:
        """The gradient; the logits are remembered."""
        params = leaves(step.params)
        outputs = problem.outputs(params, buffers, step.batch.inputs)
        self.later.append(outputs.detach())
        return gradient(problem.adjusted_loss(outputs, step.batch), params)

    def push(self, problem: Problem, step: Step, direction: Params) -> Pushed:
        """Two forward passes, one on each side."""
        scale = scale_of(step.params, direction)
        with torch.no_grad():
            sides = [moved(step.params, direction, signed) for signed in (scale, -scale)]
            ahead, behind = self._values(problem, step, sides)
        return Pushed(self.first, (ahead - behind) / (2 * scale), self.shared)

    def _values(self, problem: Problem, step: Step, sides: Sequence[Params]) -> list[Tensor]:
        inputs = step.batch.inputs
        relay = self.relay and inputs.ndim == 4 and inputs.device.type == "cpu"
        if relay and problem.model not in problem.contiguous:
            # Without a graph, a pass takes three quarters of its time with the channels last.
            laid_out = inputs.contiguous(memory_format=torch.channels_last)
            with suppress(RuntimeError):  # a view of an activation that cannot be one of it now
                return [_outputs(problem, step, params, laid_out) for params in sides]
            problem.contiguous.add(problem.model)
        return [_outputs(problem, step, params, inputs) for params in sides]

    def product(self, problem: Problem, step: Step, direction: Params) -> Product:
        """Two gradients, one on each side."""
        scale = scale_of(step.params, direction)
        here = self.later.pop()
        logits, slopes = [], []
        for signed in (scale, -scale):
            params = leaves(moved(step.params, direction, signed))
            outputs = _outputs(problem, step, params, step.batch.inputs)
            slopes.append(gradient(_loss(problem, step, outputs, here), params))
            logits.append(outputs.detach())
        ahead, behind = slopes
        products = {n: (g - behind[n]) / (2 * scale) for n, g in ahead.items()}
        pushed = Pushed(here, (logits[0] - logits[1]) / (2 * scale))
        return Product(products, theta_part(problem, step.batch, pushed))


def _loss(problem: Problem, step: Step, outputs: Tensor, here: Tensor) -> Tensor:
    """The adjusted loss nearby; features that are held fixed in derivatives are those of here."""
    if not problem.criterion.detach:
        return problem.adjusted_loss(outputs, step.batch)
    _, targets, index = step.batch
    hparams = problem.criterion.hparams(here, targets, index)
    return problem.criterion.loss(outputs, targets, hparams).mean()


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


def _outputs(problem: Problem, step: Step, params: Params, inputs: Tensor) -> Tensor:
    step.randomness.restore()
    return problem.outputs(params, copied(step.buffers), inputs)
