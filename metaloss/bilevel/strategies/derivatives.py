r"""The derivatives of a training step that the adjoint method needs.

The first step needs no Hessian product, because its weights do not depend on :math:`\theta`. There
:math:`\theta` enters through the loss of the logits alone:

.. math:: \langle \nabla_w L, u \rangle =
          \sum_i \langle \partial \ell_i / \partial z_i, \dot z_i \rangle,
          \qquad \dot z = J_w z \, u

This takes a tangent of the logits, and a second derivative of the loss in the logits and
:math:`\theta`, which involves only the adjuster, a small MLP. With one step, as in the paper, no
second-order graph of the network is ever built.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from metaloss.bilevel.consistency import Pass, slope_along
from metaloss.bilevel.network import Buffers, Params, gradient, leaves
from metaloss.bilevel.problem import Batches, Problem
from metaloss.bilevel.step import Step

ThetaGrads = Sequence[Tensor | None]
"""The gradient in each of the adjuster's parameters, in order; ``None`` for an unused parameter."""


class HessianProduct(NamedTuple):
    r"""Derivatives of :math:`\langle \nabla_w L_k, u \rangle`.

    Attributes:
        params: the derivative in the weights, by name; unused weights are left out.
        theta: the derivative in the adjuster's parameters.
        disagreement: how far the passes that computed it disagree; see :class:`Solution`.
    """

    params: Params
    theta: ThetaGrads
    disagreement: Tensor | None = None


class Derivatives(ABC):
    """A way to compute the derivatives of a network, for one meta step."""

    def gradient(
        self,
        problem: Problem,
        step: Step,
        buffers: Buffers,
        *,
        product_next: bool,  # noqa: ARG002
    ) -> tuple[Params, Tensor]:
        """Compute a step's gradient and its outputs.

        Args:
            problem: the bilevel problem.
            step: the starting point of the step.
            buffers: the model's buffers, updated in place.
            product_next: whether the next call is :meth:`product` for this step.
        """
        params = leaves(step.params)
        outputs = problem.outputs(params, buffers, step.batches)
        found = outputs.detach().clone()  # the model may write to the tensor that it returned
        return gradient(problem.training_loss(outputs, step.batches), params), found

    @abstractmethod
    def theta_product(self, problem: Problem, step: Step, direction: Params) -> HessianProduct:
        """Compute the derivative in theta only, for the first step."""

    @abstractmethod
    def product(self, problem: Problem, step: Step, direction: Params) -> HessianProduct:
        """Compute the derivatives in the weights and in theta, for a later step."""


def by_tangent(
    problem: Problem, step: Step, outputs: Tensor, tangent: Tensor, direction: Params
) -> HessianProduct:
    r"""Differentiate :math:`\langle \partial L / \partial z, \dot z \rangle` in theta.

    Args:
        problem: the bilevel problem.
        step: the first step.
        outputs: the logits :math:`z`, ``[samples, outputs]``.
        tangent: :math:`\dot z`, the derivative of the logits along the direction.
        direction: a direction in the weights, by name.
    """
    slope = slope_in_outputs(problem, step.batches, outputs)
    slopes = slope.detach()
    along = slope_along({"outputs": slopes}, {"outputs": tangent})
    gap = step.disagreement(Pass(outputs.detach(), slopes, along), direction)
    return HessianProduct({}, theta_grads(problem, slope, tangent), gap)


def slope_in_outputs(problem: Problem, batches: Batches, outputs: Tensor) -> Tensor:
    r"""Compute the loss's gradient :math:`\partial L / \partial z` in the logits.

    Returns:
        A tensor of the logits' shape, differentiable in the adjuster's parameters.
    """
    logits = outputs.detach().requires_grad_()
    loss = problem.training_loss(logits, batches)
    (slope,) = torch.autograd.grad(loss, logits, create_graph=True)
    return slope


def theta_grads(problem: Problem, slope: Tensor, tangent: Tensor) -> ThetaGrads:
    """Differentiate the inner product of the slope and the tangent in theta."""
    theta = list(problem.theta.values())
    if not slope.requires_grad:
        return [None for _ in theta]
    return torch.autograd.grad((slope * tangent).sum(), theta, allow_unused=True)
