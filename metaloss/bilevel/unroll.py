"""The textbook hypergradient: differentiate through the unrolled steps.

Every step's graph is kept, so memory grows with the number of steps: this strategy is the oracle
that others are held against, and the way out where an operator has no other rule.
"""

from __future__ import annotations

import torch
from torch import Tensor

from metaloss.bilevel.optimizers import Params, State
from metaloss.bilevel.problem import Problem, Solution


def unroll(problem: Problem) -> Solution:
    """The hypergradient by reverse mode through K differentiable optimizer steps (Eq. 10, 11)."""
    params: Params = {name: p.detach().requires_grad_() for name, p in problem.params.items()}
    optimizer = state = None
    for batch in problem.train_batches:
        grads = _gradients(problem, params, batch)
        if optimizer is None:
            optimizer = problem.make_optimizer(tuple(grads))
            state = optimizer.state
        params, state = optimizer.step(params, state, grads)
    meta_loss = problem.held_out_loss(params)
    found = torch.autograd.grad(meta_loss, list(problem.theta.values()), allow_unused=True)
    return Solution(
        {
            name: torch.zeros_like(theta) if grad is None else grad
            for (name, theta), grad in zip(problem.theta.items(), found, strict=True)
        },
        meta_loss.detach(),
    )


def _gradients(problem: Problem, params: Params, batch: object) -> dict[str, Tensor]:
    loss = problem.train_loss(params, batch)
    grads = torch.autograd.grad(loss, list(params.values()), create_graph=True, allow_unused=True)
    return {name: g for name, g in zip(params, grads, strict=True) if g is not None}
