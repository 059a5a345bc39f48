r"""The hypergradient by the adjoint method, for any way to compute a network's derivatives.

The forward sweep stores the starting point and the gradient of each training step, but not its
graph. The backward sweep then visits the steps in reverse order and carries the adjoint
:math:`a = dM/dw_{k+1}`, and a second adjoint for the optimizer's state. At each step it pulls
:math:`a` back through the update alone, which is cheap:
:math:`u = (\partial\Phi/\partial g)^\top a`. Then it computes

.. math:: \bar\theta \leftarrow \bar\theta + \frac{\partial}{\partial\theta}
          \langle \nabla_w L_k, u \rangle, \qquad
          a \leftarrow (\partial\Phi/\partial w)^\top a + \nabla^2_w L_k \, u

The first step needs no Hessian product, because its weights do not depend on :math:`\theta`. There
:math:`\theta` enters through the loss of the logits alone:

.. math:: \langle \nabla_w L, u \rangle =
          \sum_i \langle \partial \ell_i / \partial z_i, \dot z_i \rangle,
          \qquad \dot z = J_w z \, u

This takes a tangent of the logits, and a second derivative of the loss in the logits and
:math:`\theta`, which involves only the adjuster, a small MLP. With one step, as in the paper, no
second-order graph of the network is ever built.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from metaloss.bilevel.consistency import Pass, slope_along
from metaloss.bilevel.network import Buffers, Params, copied, gradient, leaves
from metaloss.bilevel.optimizer.functional import FunctionalOptimizer
from metaloss.bilevel.optimizer.torch_rules import State
from metaloss.bilevel.optimizer.update import moved_elsewhere, update_vjp
from metaloss.bilevel.problem import Batches, Problem, Rehearsal
from metaloss.bilevel.solution import Solution, either
from metaloss.bilevel.step import Step
from metaloss.processes import largest_over, mean_over, together

ThetaGrads = Sequence[Tensor | None]
"""The gradient in each of the adjuster's parameters, in order; ``None`` for an unused parameter."""


class HessianProduct(NamedTuple):
    r"""Derivatives of :math:`\langle \nabla_w L_k, u \rangle`.

    Attributes:
        params: the derivative in the weights, by name; unused weights are left out.
        theta: the derivative in the adjuster's parameters.
        disagreement: how far the passes that computed it disagree; see :class:`Solution`.
    """

    params: Params
    theta: ThetaGrads
    disagreement: Tensor | None = None


class Derivatives(ABC):
    """A way to compute the derivatives of a network, for one meta step."""

    def gradient(
        self,
        problem: Problem,
        step: Step,
        buffers: Buffers,
        *,
        product_next: bool,  # noqa: ARG002
    ) -> tuple[Params, Tensor]:
        """Compute a step's gradient and its outputs.

        Args:
            problem: the bilevel problem.
            step: the starting point of the step.
            buffers: the model's buffers, updated in place.
            product_next: whether the next call is :meth:`product` for this step.
        """
        params = leaves(step.params)
        outputs = problem.outputs(params, buffers, step.batches)
        found = outputs.detach().clone()  # the model may write to the tensor that it returned
        return gradient(problem.training_loss(outputs, step.batches), params), found

    @abstractmethod
    def theta_product(self, problem: Problem, step: Step, direction: Params) -> HessianProduct:
        """Compute the derivative in theta only, for the first step."""

    @abstractmethod
    def product(self, problem: Problem, step: Step, direction: Params) -> HessianProduct:
        """Compute the derivatives in the weights and in theta, for a later step."""


def by_adjoints(problem: Problem, rehearsal: Rehearsal, derivatives: Derivatives) -> Solution:
    """Rehearse the steps and compute the hypergradient through them."""
    steps, params, buffers = _rehearse(problem, rehearsal, derivatives)
    return through_steps(problem, derivatives, steps, params, buffers)


def through_steps(
    problem: Problem,
    derivatives: Derivatives,
    steps: Sequence[Step],
    after: Params,
    buffers: Buffers,
) -> Solution:
    """Compute the hypergradient of the meta loss after completed steps.

    Args:
        problem: the bilevel problem.
        derivatives: the way to compute the network's derivatives.
        steps: the steps in order, each with its optimizer and gradient.
        after: the weights after the last step.
        buffers: the model's buffers after it, updated in place.
    """
    ahead = leaves(after)
    own_loss = problem.meta_loss_at(ahead, buffers)
    adjoint = joint_params(gradient(own_loss, ahead))
    (meta_loss,) = mean_over([own_loss.detach()])
    of_state: Sequence[Tensor | None] = []
    total: ThetaGrads = [None for _ in problem.theta]
    disagreements = []
    elsewhere: dict[str, Tensor] = {}
    for k, step in reversed(list(enumerate(steps))):
        assert step.optimizer is not None
        back = update_vjp(step.optimizer, step.params, step.grads, adjoint, of_state, first=k == 0)
        if step.is_real:
            moved = moved_elsewhere(step.params, back.after, step.after)
            elsewhere = either(elsewhere, moved)
        find = derivatives.theta_product if k == 0 else derivatives.product
        with problem.at(step.memory, step.theta, step.calls):
            found = _joint(find(problem, step, back.grads))
        total = _sum(total, found.theta)
        adjoint, of_state = _merged(back.params, found.params), back.state
        if found.disagreement is not None:
            disagreements.append(found.disagreement)
    gap = torch.stack(disagreements).max() if disagreements else None
    return problem.solution(total, meta_loss, gap, elsewhere)


def _rehearse(
    problem: Problem, rehearsal: Rehearsal, derivatives: Derivatives
) -> tuple[list[Step], Params, Buffers]:
    """Take the steps; return them, with the weights and buffers after the last one."""
    params: Params = {name: p.detach() for name, p in rehearsal.params.items()}
    buffers = copied(rehearsal.buffers)
    optimizer: FunctionalOptimizer | None = None
    steps = []
    for k, batches in enumerate(rehearsal.steps):
        step = Step(batches, params, copied(buffers), rehearsal.randomness())
        product_next = 0 < k == len(rehearsal.steps) - 1
        own, outputs = derivatives.gradient(problem, step, buffers, product_next=product_next)
        grads = joint_params(own)
        optimizer = optimizer or rehearsal.make_optimizer(tuple(grads))
        steps.append(step._replace(optimizer=optimizer, grads=grads, outputs=outputs))
        params, state = _stepped(optimizer, params, grads)
        optimizer = optimizer._replace(state=state)
    return steps, params, buffers


@torch.no_grad()
def _stepped(optimizer: FunctionalOptimizer, params: Params, grads: Params) -> tuple[Params, State]:
    return optimizer.step(params, optimizer.state, grads)


def by_tangent(
    problem: Problem, step: Step, outputs: Tensor, tangent: Tensor, direction: Params
) -> HessianProduct:
    r"""Differentiate :math:`\langle \partial L / \partial z, \dot z \rangle` in theta.

    Args:
        problem: the bilevel problem.
        step: the first step.
        outputs: the logits :math:`z`, ``[samples, outputs]``.
        tangent: :math:`\dot z`, the derivative of the logits along the direction.
        direction: a direction in the weights, by name.
    """
    slope = slope_in_outputs(problem, step.batches, outputs)
    slopes = slope.detach()
    along = slope_along({"outputs": slopes}, {"outputs": tangent})
    gap = step.disagreement(Pass(outputs.detach(), slopes, along), direction)
    return HessianProduct({}, theta_grads(problem, slope, tangent), gap)


def slope_in_outputs(problem: Problem, batches: Batches, outputs: Tensor) -> Tensor:
    r"""Compute the loss's gradient :math:`\partial L / \partial z` in the logits.

    Returns:
        A tensor of the logits' shape, differentiable in the adjuster's parameters.
    """
    logits = outputs.detach().requires_grad_()
    loss = problem.training_loss(logits, batches)
    (slope,) = torch.autograd.grad(loss, logits, create_graph=True)
    return slope


def theta_grads(problem: Problem, slope: Tensor, tangent: Tensor) -> ThetaGrads:
    """Differentiate the inner product of the slope and the tangent in theta."""
    theta = list(problem.theta.values())
    if not slope.requires_grad:
        return [None for _ in theta]
    return torch.autograd.grad((slope * tangent).sum(), theta, allow_unused=True)


def joint_params(own: Params) -> Params:
    """Return the derivatives of the joint loss of all processes, from those of this process's."""
    return dict(zip(own, mean_over(list(own.values())), strict=True))


def _joint(own: HessianProduct) -> HessianProduct:
    """Return the derivatives for the joint batch, and the largest disagreement of a process."""
    if not together():
        return own
    theta = iter(mean_over([grad for grad in own.theta if grad is not None]))
    gap = own.disagreement
    return HessianProduct(
        joint_params(own.params),
        [None if grad is None else next(theta) for grad in own.theta],
        None if gap is None else largest_over(gap),
    )


def _merged(one: Params, other: Params) -> Params:
    return {
        name: one[name] + other[name]
        if name in one and name in other
        else one.get(name, other.get(name))  # type: ignore[misc]
        for name in {**one, **other}
    }


def _sum(totals: ThetaGrads, found: ThetaGrads) -> ThetaGrads:
    return [
        (b if a is None else a) if a is None or b is None else a + b
        for a, b in zip(totals, found, strict=True)
    ]
