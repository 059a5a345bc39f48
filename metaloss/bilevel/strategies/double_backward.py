"""Reverse over reverse mode: differentiates a gradient by a second backward pass."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from metaloss.bilevel.consistency import Pass, slope_along
from metaloss.bilevel.errors import check_twice_differentiable, second_derivatives
from metaloss.bilevel.kernels import kernels_with_rules
from metaloss.bilevel.network import Buffers, Params, copied, gradient, leaves
from metaloss.bilevel.problem import Problem
from metaloss.bilevel.step import Step
from metaloss.bilevel.strategies.derivatives import Derivatives, HessianProduct
from metaloss.bilevel.tangent import FastSecondDerivatives
from metaloss.checks import require


class DoubleBackward(Derivatives):
    """Differentiates the gradient of every step through the step's own graph.

    Args:
        strategy: the name of the strategy to show in errors.
    """

    def __init__(self, strategy: str) -> None:
        self.strategy = strategy
        self.kept: _Graph | None = None

    def gradient(
        self, problem: Problem, step: Step, buffers: Buffers, *, product_next: bool
    ) -> tuple[Params, Tensor]:
        """Compute a step's gradient; keep its graph if :meth:`product` comes next."""
        if product_next:
            self.kept = self._graph(problem, step, buffers)
            return {n: g.detach() for n, g in self.kept.grads.items()}, self.kept.outputs
        with kernels_with_rules():
            return super().gradient(problem, step, buffers, product_next=False)

    def theta_product(self, problem: Problem, step: Step, direction: Params) -> HessianProduct:
        """Compute :meth:`product` in theta only."""
        return self._product(problem, step, direction, in_params=False)

    def product(self, problem: Problem, step: Step, direction: Params) -> HessianProduct:
        """Build the step's graph, unless it was kept, and differentiate through it twice."""
        return self._product(problem, step, direction, in_params=True)

    def _product(
        self, problem: Problem, step: Step, direction: Params, *, in_params: bool
    ) -> HessianProduct:
        graph, self.kept = self.kept, None
        if graph is None:
            step.randomness.restore()
            graph = self._graph(problem, step, copied(step.buffers))
        require(
            graph.grads.keys() == step.grads.keys(),
            "model: expected a step whose loss reaches the same parameters in every pass, but it "
            f"reaches {', '.join(sorted(graph.grads.keys() ^ step.grads.keys()))} in one alone",
        )
        params = graph.params if in_params else {}
        with second_derivatives(self.strategy):
            found = torch.autograd.grad(
                list(graph.grads.values()),
                [*params.values(), *problem.theta.values()],
                [direction[name] for name in graph.grads],
                allow_unused=True,
            )
        by_params = {n: h for n, h in zip(params, found, strict=False) if h is not None}
        with torch.no_grad():
            again = Pass(graph.outputs, None, slope_along(graph.grads, direction))
            gap = step.disagreement(again, direction)
        return HessianProduct(by_params, found[len(params) :], gap)

    def _graph(self, problem: Problem, step: Step, buffers: Buffers) -> _Graph:
        params = leaves(step.params)
        with kernels_with_rules(), FastSecondDerivatives():
            outputs = problem.outputs(params, buffers, step.batches)
        found = outputs.detach().clone()
        grads = gradient(problem.training_loss(outputs, step.batches), params, create_graph=True)
        check_twice_differentiable(self.strategy, grads.values())
        return _Graph(params, grads, found)


class _Graph(NamedTuple):
    """A gradient with its graph, the weights it was computed at, and the outputs there."""

    params: Params
    grads: Params
    outputs: Tensor
