"""The textbook hypergradient: differentiate through the unrolled steps.

Every step's graph is kept, so memory grows with the number of steps: this strategy is the oracle
that others are held against, and the way out where an operator has no other rule.
"""

from __future__ import annotations

import torch

from metaloss.bilevel.optimizers import Params
from metaloss.bilevel.problem import Problem, Solution
from metaloss.types import Batch


def unroll(problem: Problem) -> Solution:
    """The hypergradient by reverse mode through K differentiable optimizer steps (Eq. 10, 11)."""
    params: Params = {name: p.detach().requires_grad_() for name, p in problem.params.items()}
    grads = _gradients(problem, params, problem.train_batches[0])
    optimizer = problem.make_optimizer(tuple(grads))
    params, state = optimizer.step(params, optimizer.state, grads)
    for batch in problem.train_batches[1:]:
        params, state = optimizer.step(params, state, _gradients(problem, params, batch))
    meta_loss = problem.held_out_loss(params)
    found = torch.autograd.grad(meta_loss, list(problem.theta.values()), allow_unused=True)
    return Solution(
        {
            name: torch.zeros_like(theta) if grad is None else grad
            for (name, theta), grad in zip(problem.theta.items(), found, strict=True)
        },
        meta_loss.detach(),
    )


def _gradients(problem: Problem, params: Params, batch: Batch) -> Params:
    loss = problem.train_loss(params, batch)
    grads = torch.autograd.grad(loss, list(params.values()), create_graph=True, allow_unused=True)
    return {name: g for name, g in zip(params, grads, strict=True) if g is not None}
