"""What each module of a model is given in a pass, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map

from metaloss.bilevel.kernels import kernels_with_rules
from metaloss.bilevel.optimizers import Params
from metaloss.bilevel.problem import Buffers, Problem, copied
from metaloss.randomness import Randomness


@dataclass
class Call:
    """One call of a module.

    Attributes:
        inputs: its arguments.
        weights: its trainable parameters.
        buffers: its own, before the call.
        randomness: before the call.
        output: what it gave.
    """

    inputs: Any
    weights: Params
    buffers: Buffers
    randomness: Randomness
    output: Tensor = field(init=False)


@torch.no_grad()
def recorded(problem: Problem, start: Randomness, params: Params) -> dict[str, list[Call]]:
    """Every call of every module in one pass, by the module's name, in the order of their ends.

    Args:
        problem: whose model is called, with its first batch.
        start: the generators before the pass.
        params: the weights, by name.
    """
    found: dict[str, list[Call]] = {}
    weights = {id(problem.params[name]): value for name, value in params.items()}
    with _hooked(problem, weights, found), kernels_with_rules():
        start.restore()
        problem.outputs(params, copied(problem.buffers), problem.train_batches[0].inputs)
    return found


@contextmanager
def _hooked(
    problem: Problem, weights: dict[int, Tensor], found: dict[str, list[Call]]
) -> Iterator[None]:
    begun: list[Call] = []

    def before(own: Params) -> Callable[[nn.Module, Any, Any], None]:
        def begins(module: nn.Module, args: Any, kwargs: Any) -> None:
            buffers = copied(dict(module.named_buffers()))
            begun.append(Call(_cloned((args, kwargs)), own, buffers, problem.randomness()))

        return begins

    def after(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def ends(_module: nn.Module, _args: Any, output: Any) -> None:
            call = begun.pop()
            call.output = one_tensor(_cloned(output))
            found.setdefault(name, []).append(call)

        return ends

    hooks: list[Any] = []
    for name, module in problem.model.named_modules():
        own = {n: weights[id(p)] for n, p in module.named_parameters() if id(p) in weights}
        hooks.append(module.register_forward_pre_hook(before(own), with_kwargs=True))
        hooks.append(module.register_forward_hook(after(name)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _cloned(values: Any) -> Any:
    return tree_map(lambda v: v.detach().clone() if isinstance(v, Tensor) else v, values)


def one_tensor(output: Any) -> Tensor:
    """The floating tensors of a module's output as one."""
    tensors = [t for t in tree_flatten(output)[0] if is_floating(t)]
    if len(tensors) == 1:
        return tensors[0]
    return torch.cat([t.flatten() for t in tensors]) if tensors else torch.zeros(0)


def is_floating(value: Any) -> bool:
    """Whether a value is a tensor of real numbers."""
    return isinstance(value, Tensor) and value.is_floating_point()
