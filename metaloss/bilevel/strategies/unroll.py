"""The textbook hypergradient: reverse mode through the unrolled steps.

Every step's graph is kept, so memory grows with the number of steps. This strategy is the reference
for the others, and the one to use if the network has an operation without a forward-mode rule.
"""

from __future__ import annotations

import torch

from metaloss.bilevel.errors import check_twice_differentiable, second_derivatives
from metaloss.bilevel.kernels import kernels_with_rules
from metaloss.bilevel.network import copied, gradient, leaves
from metaloss.bilevel.problem import Problem, Rehearsal
from metaloss.bilevel.solution import Solution
from metaloss.checks import require
from metaloss.processes import together


def unroll(problem: Problem, rehearsal: Rehearsal) -> Solution:
    """Differentiate through K differentiable optimizer steps (Eq. 10, 11).

    Raises:
        InputError: several processes train together; a graph ends at the border of a process.
    """
    require(
        not together(),
        "strategy: expected 'mixed' or 'difference' where several processes train together, got "
        "'unroll', which would have to differentiate through their messages",
    )
    params, buffers = leaves(rehearsal.params), copied(rehearsal.buffers)
    optimizer = state = None
    for batches in rehearsal.steps:
        with kernels_with_rules():
            outputs = problem.outputs(params, buffers, batches)
            loss = problem.training_loss(outputs, batches)
            grads = gradient(loss, params, create_graph=True)
        check_twice_differentiable("unroll", grads.values())
        if optimizer is None:
            optimizer = rehearsal.make_optimizer(tuple(grads))
            state = optimizer.state
        assert state is not None
        params, state = optimizer.step(params, state, grads)
    meta_loss = problem.meta_loss_at(params, buffers)
    with second_derivatives("unroll"):
        found = torch.autograd.grad(meta_loss, list(problem.theta.values()), allow_unused=True)
    return problem.solution(found, meta_loss)
