"""The adjoint through the optimizer's update alone: parameter-sized work, no network in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torchopt
from torch import Tensor

from metaloss.bilevel.optimizers import FunctionalOptimizer, Params
from metaloss.bilevel.torch_rules import State

pytree: Any = torchopt.pytree  # its types speak of trees of one kind of leaf


class Through(NamedTuple):
    """An adjoint pulled back through an update, to each of its arguments.

    Attributes:
        params: by name, without those it does not reach.
        state: for each floating leaf of the optimizer's state, in order.
        grads: by name, every gradient of the step.
    """

    params: Params
    state: list[Tensor | None]
    grads: Params


def through_update(  # noqa: PLR0917 - an update's three arguments, and an adjoint's two parts
    optimizer: FunctionalOptimizer,
    params: Params,
    state: State,
    grads: Params,
    adjoint: Params,
    adjoint_of_state: Sequence[Tensor | None],
) -> Through:
    r"""Pull an adjoint back: :math:`(\partial\Phi/\partial(w, s, g))^\top (a, b)`.

    Args:
        optimizer: whose step it is.
        params: where the step began.
        state: the optimizer's then.
        grads: the step's.
        adjoint: the meta loss's derivative in the parameters after the step, by name.
        adjoint_of_state: in the floating leaves of the state after it; empty if it has none.
    """
    w = {name: p.detach().requires_grad_() for name, p in params.items()}
    g = {name: value.detach().requires_grad_() for name, value in grads.items()}
    kept, spec = pytree.tree_flatten(state)
    s = [leaf.detach().requires_grad_() if _is_floating(leaf) else leaf for leaf in kept]
    after, state_after = optimizer.step(w, pytree.tree_unflatten(spec, s), g)
    pulled = [(after[name], a) for name, a in adjoint.items()]
    pulled += [
        (leaf, a)
        for leaf, a in zip(_floating(state_after), adjoint_of_state, strict=False)
        if a is not None
    ]
    pulled = [(out, a) for out, a in pulled if out.requires_grad]
    inputs = [*w.values(), *filter(_is_floating, s), *g.values()]
    found: list[Tensor | None] = list(
        torch.autograd.grad(
            [out for out, _ in pulled], inputs, [a for _, a in pulled], allow_unused=True
        )
    )
    to_params, to_state, to_grads = found[: len(w)], found[len(w) : -len(g)], found[-len(g) :]
    return Through(
        {name: a for name, a in zip(w, to_params, strict=True) if a is not None},
        to_state,
        {
            name: torch.zeros_like(value) if u is None else u
            for (name, value), u in zip(g.items(), to_grads, strict=True)
        },
    )


def _is_floating(leaf: Any) -> bool:
    return isinstance(leaf, Tensor) and (leaf.is_floating_point() or leaf.is_complex())


def _floating(state: State) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(state) if _is_floating(leaf)]
