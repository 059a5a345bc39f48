"""The exact hypergradient at nearly first-order cost, with forward mode at the first step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.autograd.forward_ad as fwd
from torch import Tensor

from metaloss.bilevel.errors import no_forward_rule
from metaloss.bilevel.function_modes import Function, FunctionMode
from metaloss.bilevel.kernels import kernels_with_rules
from metaloss.bilevel.network import Params
from metaloss.bilevel.problem import Problem
from metaloss.bilevel.step import Step
from metaloss.bilevel.strategies.derivatives import HessianProduct, by_tangent
from metaloss.bilevel.strategies.double_backward import DoubleBackward
from metaloss.bilevel.tangent import Activations, FastTangents


class Mixed(DoubleBackward):
    """Forward mode at the first step, reverse over reverse mode at later ones.

    Raises:
        NoRuleError: in a derivative, if the model has an operation without a forward-mode rule or,
            with several steps, without a second derivative.
    """

    def __init__(self) -> None:
        super().__init__("mixed")

    def theta_product(self, problem: Problem, step: Step, direction: Params) -> HessianProduct:
        """Propagate the direction through the network as a tangent, in one forward pass."""
        outputs, tangent = jvp(problem, step, direction)
        return by_tangent(problem, step, outputs, tangent, direction)


def jvp(problem: Problem, step: Step, direction: Params) -> tuple[Tensor, Tensor]:
    """Compute a step's outputs and their derivative along a direction in the weights.

    Args:
        problem: the bilevel problem.
        step: the step at whose weights the derivative is taken.
        direction: a direction in the weights, by name; weights that are missing do not move.

    Returns:
        The outputs and their tangent, each ``[samples, outputs]``.

    Raises:
        NoRuleError: the model has an operation without a forward-mode rule.
    """
    found = _jvp(problem, step, direction, step.activations)
    if step.activations is not None and not step.activations.matched:
        return _jvp(problem, step, direction)  # the step made other calls than a forward pass
    return found


def _jvp(
    problem: Problem, step: Step, direction: Params, activations: Activations | None = None
) -> tuple[Tensor, Tensor]:
    with fwd.dual_level(), kernels_with_rules(), ForwardMode(FastTangents(activations)):
        duals = {
            name: fwd.make_dual(p, direction[name])  # type: ignore[no-untyped-call]
            if name in direction
            else p
            for name, p in step.params.items()
        }
        try:
            found = step.outputs_at(problem, duals)
        except (NotImplementedError, HookError) as error:
            raise no_forward_rule(problem.model, error) from error
        outputs, tangent = fwd.unpack_dual(found)  # type: ignore[no-untyped-call]
    return outputs, torch.zeros_like(outputs) if tangent is None else tangent


class HookError(Exception):
    """The model puts a hook on a gradient, which forward mode cannot follow."""


class ForwardMode(FunctionMode):
    """A mode in which tangents stop under ``no_grad``, as gradients do.

    Args:
        rules: the forward-mode rules to call functions with.
    """

    def __init__(self, rules: FastTangents) -> None:
        super().__init__()
        self.rules = rules

    def call(self, func: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call ``func``, without tangents under ``no_grad``."""
        if func in {Tensor.register_hook, Tensor.register_post_accumulate_grad_hook}:
            raise HookError(func.__name__)
        if torch.is_grad_enabled():
            return self.rules(func, args, kwargs)
        with fwd._set_fwd_grad_enabled(False):
            return func(*args, **kwargs)
