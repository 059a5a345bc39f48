r"""The exact hypergradient at nearly first-order cost: adjoints, and tangents at the first step.

Walk forward keeping each step's weights and optimizer state, not its graph. Walk back with the
adjoint :math:`a = dM/dw_{k+1}` (and that of the optimizer's state). Through the update alone, which
is cheap, :math:`u = (\partial\Phi/\partial g)^\top a`; then

.. math:: \bar\theta \leftarrow \bar\theta + \frac{\partial}{\partial\theta}
          \langle \nabla_w L_k, u \rangle, \qquad
          a \leftarrow (\partial\Phi/\partial w)^\top a + \nabla^2_w L_k \, u

The first step needs no Hessian product, and :math:`\theta` enters only through the logits: there

.. math:: \langle \nabla_w L, u \rangle =
          \sum_i \langle \partial \ell_i / \partial z_i, \dot z_i \rangle,
          \qquad \dot z = J_w z \, u

is one forward-mode pass through the network, and a derivative over logits and a small MLP. With one
step, as in the paper, no second-order graph is ever built.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.autograd.forward_ad as fwd
import torchopt
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from metaloss.bilevel.optimizers import FunctionalOptimizer, Params, State
from metaloss.bilevel.problem import Buffers, Problem, Solution, copied, gradient
from metaloss.bilevel.randomness import Randomness
from metaloss.checks import InputError
from metaloss.types import Batch

pytree: Any = torchopt.pytree  # its types speak of trees of one kind of leaf


class Step(NamedTuple):
    """Where a training step began: all that is kept of it."""

    batch: Batch
    params: Params
    state: State
    buffers: Buffers
    randomness: Randomness


class Adjoint(NamedTuple):
    """The meta loss's derivative in the weights, and in the floating leaves of the state."""

    params: Params
    state: list[Tensor | None]


def mixed(problem: Problem) -> Solution:
    """The hypergradient by adjoint steps, the first of them in forward mode."""
    steps, optimizer, first_grads, params, buffers = _walk(problem)
    ahead = {name: p.detach().requires_grad_() for name, p in params.items()}
    meta_loss = problem.clean_loss(ahead, buffers)
    adjoint = Adjoint(gradient(meta_loss, ahead, keep_graph=False), [])
    total: list[Tensor | None] = [None for _ in problem.theta]
    for step in reversed(steps[1:]):
        adjoint, found = _back(problem, optimizer, step, adjoint)
        total = _sum(total, found)
    direction = _through_update(optimizer, steps[0], first_grads, adjoint).grads
    total = _sum(total, _first(problem, steps[0], direction))
    return problem.solution(total, meta_loss)


def _walk(
    problem: Problem,
) -> tuple[list[Step], FunctionalOptimizer, Params, Params, Buffers]:
    """Take the steps, first order, remembering where each began."""
    params: Params = {name: p.detach() for name, p in problem.params.items()}
    buffers = copied(problem.buffers)
    first, *rest = problem.train_batches
    step = Step(first, params, (), copied(buffers), problem.randomness())
    first_grads = grads = _gradient(problem, step, buffers)
    optimizer = problem.make_optimizer(tuple(grads))
    state = optimizer.state
    steps = [step._replace(state=state)]
    for batch in rest:
        params, state = _stepped(optimizer, params, state, grads)
        steps.append(Step(batch, params, state, copied(buffers), problem.randomness()))
        grads = _gradient(problem, steps[-1], buffers)
    params, _ = _stepped(optimizer, params, state, grads)
    return steps, optimizer, first_grads, params, buffers


@torch.no_grad()
def _stepped(
    optimizer: FunctionalOptimizer, params: Params, state: State, grads: Params
) -> tuple[Params, State]:
    return optimizer.step(params, state, grads)


def _gradient(problem: Problem, step: Step, buffers: Buffers) -> Params:
    leaves = {name: p.detach().requires_grad_() for name, p in step.params.items()}
    outputs = problem.outputs(leaves, buffers, step.batch.inputs)
    return gradient(problem.adjusted_loss(outputs, step.batch), leaves, keep_graph=False)


def _back(
    problem: Problem, optimizer: FunctionalOptimizer, step: Step, adjoint: Adjoint
) -> tuple[Adjoint, Sequence[Tensor | None]]:
    """One step back, by a double backward through that step's graph, which is built for it."""
    leaves = {name: p.detach().requires_grad_() for name, p in step.params.items()}
    step.randomness.restore()
    with sdpa_kernel(SDPBackend.MATH):  # the fused kernels have no second derivative
        outputs = problem.outputs(leaves, copied(step.buffers), step.batch.inputs)
        loss = problem.adjusted_loss(outputs, step.batch)
        grads = gradient(loss, leaves, keep_graph=True)
    plain = {name: g.detach() for name, g in grads.items()}
    through = _through_update(optimizer, step, plain, adjoint)
    theta = list(problem.theta.values())
    found = torch.autograd.grad(
        list(grads.values()),
        [*leaves.values(), *theta],
        [through.grads[name] for name in grads],
        allow_unused=True,
    )
    hessian_products = dict(zip(leaves, found, strict=False))
    params = {name: _add(through.params.get(name), hessian_products[name]) for name in leaves}
    reached = {name: value for name, value in params.items() if value is not None}
    return Adjoint(reached, through.state), found[len(leaves) :]


class Through(NamedTuple):
    """The adjoint pulled back through the update, to each of its arguments."""

    params: dict[str, Tensor | None]
    state: list[Tensor | None]
    grads: Params


def _through_update(
    optimizer: FunctionalOptimizer, step: Step, grads: Params, adjoint: Adjoint
) -> Through:
    """Pull the adjoint back through the optimizer's update alone: parameter-sized work."""
    w = {name: p.detach().requires_grad_() for name, p in step.params.items()}
    g = {name: value.detach().requires_grad_() for name, value in grads.items()}
    kept, spec = pytree.tree_flatten(step.state)
    s = [leaf.detach().requires_grad_() if _is_floating(leaf) else leaf for leaf in kept]
    after, state_after = optimizer.step(w, pytree.tree_unflatten(spec, s), g)
    pulled = [(after[name], a) for name, a in adjoint.params.items()]
    pulled += [
        (leaf, a)
        for leaf, a in zip(_floating(state_after), adjoint.state, strict=False)
        if a is not None
    ]
    pulled = [(out, a) for out, a in pulled if out.requires_grad]
    inputs = [*w.values(), *filter(_is_floating, s), *g.values()]
    found: list[Tensor | None] = list(
        torch.autograd.grad(
            [out for out, _ in pulled], inputs, [a for _, a in pulled], allow_unused=True
        )
    )
    to_params, to_state = found[: len(w)], found[len(w) : -len(g)]
    to_grads = {
        name: torch.zeros_like(value) if u is None else u
        for (name, value), u in zip(g.items(), found[-len(g) :], strict=True)
    }
    return Through(dict(zip(w, to_params, strict=True)), to_state, to_grads)


def _first(problem: Problem, step: Step, direction: Params) -> Sequence[Tensor | None]:
    """The first step's part, from a tangent of the logits."""
    step.randomness.restore()
    outputs, tangent = _tangent(problem, step, direction)
    logits = outputs.detach().requires_grad_()
    (slope,) = torch.autograd.grad(
        problem.adjusted_loss(logits, step.batch), logits, create_graph=True
    )
    theta = list(problem.theta.values())
    if not slope.requires_grad:
        return [None for _ in theta]
    return torch.autograd.grad((slope * tangent).sum(), theta, allow_unused=True)


@torch.no_grad()
def _tangent(problem: Problem, step: Step, direction: Params) -> tuple[Tensor, Tensor]:
    """The logits, and their derivative along a direction in the weights."""
    with fwd.dual_level(), sdpa_kernel(SDPBackend.MATH):  # the fused kernels have no tangents
        dual = {
            name: _dual(p, direction[name]) if name in direction else p
            for name, p in step.params.items()
        }
        try:
            found = problem.outputs(dual, copied(step.buffers), step.batch.inputs)
        except NotImplementedError as error:
            raise InputError(
                "strategy 'mixed': the model has an operator without a forward-mode rule; use "
                f"Lookahead(strategy='unroll') for it. torch says: {str(error).splitlines()[0]}"
            ) from error
        outputs, tangent = fwd.unpack_dual(found)  # type: ignore[no-untyped-call]
    return outputs, tangent


def _dual(value: Tensor, tangent: Tensor) -> Tensor:
    return fwd.make_dual(value, tangent)  # type: ignore[no-untyped-call]


def _is_floating(leaf: Any) -> bool:
    return isinstance(leaf, Tensor) and leaf.is_floating_point()


def _floating(state: State) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(state) if _is_floating(leaf)]


def _add(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        return b if a is None else a
    return a + b


def _sum(totals: Sequence[Tensor | None], found: Sequence[Tensor | None]) -> list[Tensor | None]:
    return [_add(a, b) for a, b in zip(totals, found, strict=True)]
