r"""The hypergradient by the adjoint method, for any way to compute a network's derivatives.

The forward sweep stores the starting point and the gradient of each training step, but not its
graph. The backward sweep then visits the steps in reverse order and carries the adjoint
:math:`a = dM/dw_{k+1}`, and a second adjoint for the optimizer's state. At each step it pulls
:math:`a` back through the update alone, which is cheap:
:math:`u = (\partial\Phi/\partial g)^\top a`. Then it computes

.. math:: \bar\theta \leftarrow \bar\theta + \frac{\partial}{\partial\theta}
          \langle \nabla_w L_k, u \rangle, \qquad
          a \leftarrow (\partial\Phi/\partial w)^\top a + \nabla^2_w L_k \, u

The first step needs the derivative in :math:`\theta` alone: see ``derivatives.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from metaloss.bilevel.network import Buffers, Params, copied, gradient, leaves
from metaloss.bilevel.optimizer.functional import FunctionalOptimizer
from metaloss.bilevel.optimizer.torch_rules import State
from metaloss.bilevel.optimizer.update import moved_elsewhere, update_vjp
from metaloss.bilevel.problem import Problem, Rehearsal
from metaloss.bilevel.solution import Solution, either
from metaloss.bilevel.step import Step
from metaloss.bilevel.strategies.derivatives import Derivatives, HessianProduct, ThetaGrads
from metaloss.processes import largest_over, mean_over, together


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
