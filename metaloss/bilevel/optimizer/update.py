"""The vector-Jacobian product of the optimizer's update, which does not involve the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torchopt
from torch import Tensor

from metaloss.bilevel.network import Params
from metaloss.bilevel.optimizer.functional import FunctionalOptimizer
from metaloss.bilevel.optimizer.torch_rules import State

pytree: Any = torchopt.pytree  # its type hints only allow one kind of leaf


class UpdateVJP(NamedTuple):
    """The vector-Jacobian product of an update in each of its arguments.

    Attributes:
        params: the product for the parameters, by name; unused parameters are left out. Empty for
            the first step.
        state: the product for each floating-point leaf of the optimizer's state, in order. Empty
            for the first step.
        grads: the product for the gradients, by name.
        after: the parameters after the update.
    """

    params: Params
    state: list[Tensor | None]
    grads: Params
    after: Params


def update_vjp(
    optimizer: FunctionalOptimizer,
    params: Params,
    grads: Params,
    adjoint: Params,
    adjoint_of_state: Sequence[Tensor | None],
    *,
    first: bool,
) -> UpdateVJP:
    r"""Pull an adjoint back: :math:`(\partial\Phi/\partial(w, s, g))^\top (a, b)`.

    Args:
        optimizer: the optimizer with its state before the step.
        params: the weights before the step.
        grads: the gradients of the step.
        adjoint: the meta loss's derivative in the parameters after the step, by name.
        adjoint_of_state: the meta loss's derivative in the floating-point leaves of the state after
            the step; empty if it does not depend on them.
        first: whether it is the first step. Nothing before it depends on the hyperparameters, so
            that the product for the gradients is all that is needed.
    """
    w = {name: p.detach().requires_grad_(not first) for name, p in params.items()}
    g = {name: value.detach().requires_grad_() for name, value in grads.items()}
    kept, spec = pytree.tree_flatten(optimizer.state)
    s = [leaf.detach().requires_grad_(not first) if _is_floating(leaf) else leaf for leaf in kept]
    after, state_after = optimizer.step(w, pytree.tree_unflatten(spec, s), g)
    pulled = [(after[name], a) for name, a in adjoint.items()]
    pulled += [
        (leaf, a)
        for leaf, a in zip(_floating(state_after), adjoint_of_state, strict=bool(adjoint_of_state))
        if a is not None
    ]
    pulled = [(out, a) for out, a in pulled if out.requires_grad]
    before = [] if first else [*w.values(), *filter(_is_floating, s)]
    found: list[Tensor | None] = list(
        torch.autograd.grad(
            [out for out, _ in pulled],
            [*g.values(), *before],
            [a for _, a in pulled],
            allow_unused=True,
        )
    )
    to_grads, to_before = found[: len(g)], found[len(g) :]
    return UpdateVJP(
        {name: a for name, a in zip(w, to_before, strict=False) if a is not None},
        to_before[len(w) :],
        {
            name: torch.zeros_like(value) if u is None else u
            for (name, value), u in zip(g.items(), to_grads, strict=True)
        },
        {name: p.detach() for name, p in after.items()},
    )


@torch.no_grad()
def moved_elsewhere(before: Params, expected: Params, after: Params) -> dict[str, Tensor]:
    """Return for each weight whether a real step left the optimizer's update rule; does not wait.

    Args:
        before: the weights before the step.
        expected: those that the rule leads to.
        after: those that the step led to.

    Returns:
        Boolean scalars by name: whether a weight differs from the expected one by more than
        rounding errors.
    """
    return {
        name: (weight - expected[name]).norm()
        > 1e-3 * (weight - before[name]).norm() + 10 * torch.finfo(weight.dtype).eps * weight.norm()
        for name, weight in after.items()
    }


def _is_floating(leaf: Any) -> bool:
    return isinstance(leaf, Tensor) and (leaf.is_floating_point() or leaf.is_complex())


def _floating(state: State) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(state) if _is_floating(leaf)]
