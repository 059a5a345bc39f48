"""The textbook hypergradient: differentiate through the unrolled steps.

Every step's graph is kept, so memory grows with the number of steps: this strategy is the oracle
that others are held against, and the way out where an operator has no other rule.
"""

from __future__ import annotations

import torch

from metaloss.bilevel.kernels import kernels_with_rules
from metaloss.bilevel.problem import Problem, Solution, copied, gradient, leaves
from metaloss.bilevel.rules import check_twice_differentiable, second_derivatives


def unroll(problem: Problem) -> Solution:
    """The hypergradient by reverse mode through K differentiable optimizer steps (Eq. 10, 11)."""
    params, buffers = leaves(problem.params), copied(problem.buffers)
    optimizer = state = None
    for batch in problem.train_batches:
        with kernels_with_rules():
            outputs = problem.outputs(params, buffers, batch.inputs)
            grads = gradient(problem.adjusted_loss(outputs, batch), params, create_graph=True)
        check_twice_differentiable("unroll", grads.values())
        if optimizer is None:
            assert problem.make_optimizer is not None
            optimizer = problem.make_optimizer(tuple(grads))
            state = optimizer.state
        assert state is not None
        params, state = optimizer.step(params, state, grads)
    meta_loss = problem.clean_loss(params, buffers)
    with second_derivatives("unroll"):
        found = torch.autograd.grad(meta_loss, list(problem.theta.values()), allow_unused=True)
    return problem.solution(found, meta_loss)
