r"""The hypergradient by adjoint steps, whichever way the derivatives of the network are found.

Walk forward keeping of each step where it began and its gradient, not its graph. Walk back with the
adjoint :math:`a = dM/dw_{k+1}` (and that of the optimizer's state). Through the update alone, which
is cheap, :math:`u = (\partial\Phi/\partial g)^\top a`; then

.. math:: \bar\theta \leftarrow \bar\theta + \frac{\partial}{\partial\theta}
          \langle \nabla_w L_k, u \rangle, \qquad
          a \leftarrow (\partial\Phi/\partial w)^\top a + \nabla^2_w L_k \, u

The first step needs no Hessian product, and :math:`\theta` enters only through the logits: there

.. math:: \langle \nabla_w L, u \rangle =
          \sum_i \langle \partial \ell_i / \partial z_i, \dot z_i \rangle,
          \qquad \dot z = J_w z \, u

takes a tangent of the logits, and a derivative over logits and a small MLP. With one step, as in
the paper, no second-order graph is ever built.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from metaloss.bilevel.consistency import limits, outputs_differ, slopes_differ
from metaloss.bilevel.optimizers import FunctionalOptimizer, Params
from metaloss.bilevel.problem import (
    Buffers,
    Problem,
    Shared,
    Solution,
    buffers_of,
    copied,
    gradient,
    leaves,
)
from metaloss.bilevel.torch_rules import State
from metaloss.bilevel.update import Through, through_update
from metaloss.randomness import Randomness
from metaloss.types import Batch

Found = Sequence[Tensor | None]


class Step(NamedTuple):
    """Where a training step began, and its gradient: all that is kept of it.

    Attributes:
        batch: the samples of the step.
        params: the weights before the step, by name.
        buffers: the model's buffers before the step.
        randomness: the random generators before the step's forward pass.
        optimizer: the optimizer with its state before the step; known once the gradient is.
        grads: the step's gradient, by parameter name.
        memory: the criterion's buffers before the step; empty if the criterion has not observed the
            step since.
    """

    batch: Batch
    params: Params
    buffers: Buffers
    randomness: Randomness
    optimizer: FunctionalOptimizer | None = None
    grads: Params = {}  # noqa: RUF012 - filled in once it is known
    memory: Buffers = {}  # noqa: RUF012


class Pushed(NamedTuple):
    """What a pass along a direction in the weights gives.

    Attributes:
        outputs: the logits.
        tangent: their derivative.
        shared: the pass as the ordinary step's, if it was asked for.
        before: the logits of the step's own forward pass, if this is a second pass: they have to be
            the same.
    """

    outputs: Tensor
    tangent: Tensor
    shared: Shared | None = None
    before: Tensor | None = None


class Product(NamedTuple):
    r"""Derivatives of :math:`\langle \nabla_w L_k, u \rangle`.

    Attributes:
        params: in the weights, a Hessian product; by name, without those it does not reach.
        theta: in each of the adjuster's parameters, in order.
    """

    params: Params
    theta: Found


class Derivatives(ABC):
    """How the derivatives of a network are found, for one meta step.

    Attributes:
        exact: whether they are, but for rounding.
    """

    exact: ClassVar[bool]

    @abstractmethod
    def first_gradient(self, problem: Problem, step: Step, buffers: Buffers) -> Params:
        """The gradient of the first step; the pass updates ``buffers``."""

    @abstractmethod
    def gradient(self, problem: Problem, step: Step, buffers: Buffers) -> Params:
        """The gradient of a later step; the pass updates ``buffers``."""

    @abstractmethod
    def push(self, problem: Problem, step: Step, direction: Params) -> Pushed:
        """The tangent of the first step's logits along a direction in the weights."""

    @abstractmethod
    def product(self, problem: Problem, step: Step, direction: Params) -> Product:
        """A later step's Hessian product with a direction, and its part of the hypergradient."""


def by_adjoints(problem: Problem, derivatives: Derivatives) -> Solution:
    """The hypergradient of a problem."""
    steps, params, buffers = _walk(problem, derivatives)
    ahead = leaves(params)
    meta_loss = problem.clean_loss(ahead, buffers)
    return pulled_back(problem, derivatives, steps, gradient(meta_loss, ahead), meta_loss)


def pulled_back(
    problem: Problem,
    derivatives: Derivatives,
    steps: Sequence[Step],
    adjoint: Params,
    meta_loss: Tensor,
) -> Solution:
    """The hypergradient through steps that have been made.

    Args:
        problem: whose it is.
        derivatives: how the network's are found.
        steps: in order, each with its optimizer, state and gradient.
        adjoint: the meta loss's gradient in the weights that the last step led to.
        meta_loss: its value there.
    """
    of_state: list[Tensor | None] = []
    total: Found = [None for _ in problem.theta]
    for step in reversed(steps[1:]):
        through = _through(step, adjoint, of_state)
        with buffers_of(problem.criterion, step.memory):
            product = derivatives.product(problem, step, through.grads)
        adjoint = _merged(through.params, product.params)
        of_state = through.state
        total = _sum(total, product.theta)
    first = steps[0]
    through = _through(first, adjoint, of_state)
    with buffers_of(problem.criterion, first.memory):
        pushed = derivatives.push(problem, first, through.grads)
        slope = slope_in_outputs(problem, first.batch, pushed.outputs)
    doubt = None
    if derivatives.exact:
        of_outputs, of_slopes = limits(slope.dtype)
        gap = slopes_differ(slope.detach(), pushed.tangent, first.grads, through.grads)
        doubt = gap / of_slopes
        if pushed.before is not None:
            again = outputs_differ(pushed.before, pushed.outputs.detach())
            doubt = doubt.maximum(again / of_outputs)
    total = _sum(total, theta_part(problem, slope, pushed.tangent))
    return problem.solution(total, meta_loss, shared=pushed.shared, doubt=doubt)


def _through(step: Step, adjoint: Params, of_state: Sequence[Tensor | None]) -> Through:
    assert step.optimizer is not None
    return through_update(
        step.optimizer, step.params, step.optimizer.state, step.grads, adjoint, of_state
    )


def _walk(problem: Problem, derivatives: Derivatives) -> tuple[list[Step], Params, Buffers]:
    """Take the steps, first order, remembering where each began."""
    params: Params = {name: p.detach() for name, p in problem.params.items()}
    buffers = copied(problem.buffers)
    first, *rest = problem.train_batches
    step = Step(first, params, copied(buffers), problem.randomness())
    grads = derivatives.first_gradient(problem, step, buffers)
    assert problem.make_optimizer is not None
    optimizer = problem.make_optimizer(tuple(grads))
    steps = [step._replace(optimizer=optimizer, grads=grads)]
    for batch in rest:
        params, state = _stepped(optimizer, params, grads)
        optimizer = optimizer._replace(state=state)
        step = Step(batch, params, copied(buffers), problem.randomness())
        grads = derivatives.gradient(problem, step, buffers)
        steps.append(step._replace(optimizer=optimizer, grads=grads))
    params, _ = _stepped(optimizer, params, grads)
    return steps, params, buffers


@torch.no_grad()
def _stepped(optimizer: FunctionalOptimizer, params: Params, grads: Params) -> tuple[Params, State]:
    return optimizer.step(params, optimizer.state, grads)


def slope_in_outputs(problem: Problem, batch: Batch, outputs: Tensor) -> Tensor:
    r"""The loss's gradient :math:`\partial L / \partial z` in the logits, as a function of theta.

    Args:
        problem: whose loss it is.
        batch: of the step.
        outputs: its logits.

    Returns:
        Of the logits' shape, with a graph that leads to the adjuster's parameters.
    """
    logits = outputs.detach().requires_grad_()
    (slope,) = torch.autograd.grad(problem.adjusted_loss(logits, batch), logits, create_graph=True)
    return slope


def theta_part(problem: Problem, slope: Tensor, tangent: Tensor) -> Found:
    r"""The derivative of :math:`\langle \partial L / \partial z, \dot z \rangle` in theta.

    Args:
        problem: whose adjuster it is.
        slope: as :func:`slope_in_outputs` gives it.
        tangent: of the logits.

    Returns:
        For each of the adjuster's parameters, in order; ``None`` where nothing depends on it.
    """
    theta = list(problem.theta.values())
    if not slope.requires_grad:
        return [None for _ in theta]
    return torch.autograd.grad((slope * tangent).sum(), theta, allow_unused=True)


def _merged(one: Params, other: Params) -> Params:
    return {
        name: one[name] + other[name]
        if name in one and name in other
        else one.get(name, other.get(name))  # type: ignore[misc]
        for name in {**one, **other}
    }


def _sum(totals: Found, found: Found) -> Found:
    return [
        (b if a is None else a) if a is None or b is None else a + b
        for a, b in zip(totals, found, strict=True)
    ]
