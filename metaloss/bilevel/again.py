"""Layers whose outputs are known: made part of the graph without being computed again.

Their gradients are made of operations that can be differentiated themselves.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from metaloss.bilevel.batch_norm import same_storage

aten = torch.ops.aten


class Convolved(torch.autograd.Function):
    """A convolution whose output is known."""

    @staticmethod
    def forward(
        ctx: Any,
        known: Tensor,
        inputs: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: list[int],
        padding: list[int],
        dilation: list[int],
        groups: int,
    ) -> Tensor:
        """Give what is known.

        Args:
            ctx: torch's.
            known: the output; it becomes part of the graph.
            inputs: ``[batch, channels, ...]``.
            weight: ``[out, channels / groups, ...]``.
            bias: ``[out]``.
            stride: one number a dimension, as the two that follow.
            padding: zeros around the inputs.
            dilation: between the kernel's elements.
            groups: of channels.
        """
        ctx.save_for_backward(inputs, weight)
        ctx.options = stride, padding, dilation, False, [0] * len(stride), groups
        ctx.bias_sizes = None if bias is None else list(bias.shape)
        return same_storage(known)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """The convolution's gradients."""
        inputs, weight = ctx.saved_tensors
        wanted = list(ctx.needs_input_grad[1:4])
        found = aten.convolution_backward(
            grads[0], inputs, weight, ctx.bias_sizes, *ctx.options, wanted
        )
        return None, *found, None, None, None, None


class Multiplied(torch.autograd.Function):
    """A linear layer whose output is known."""

    @staticmethod
    def forward(
        ctx: Any, known: Tensor, inputs: Tensor, weight: Tensor, bias: Tensor | None
    ) -> Tensor:
        """Give what is known.

        Args:
            ctx: torch's.
            known: the output ``[..., out]``; it becomes part of the graph.
            inputs: ``[..., in]``.
            weight: ``[out, in]``.
            bias: ``[out]``.
        """
        ctx.save_for_backward(inputs, weight)
        ctx.has_bias = bias is not None
        return same_storage(known)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """The linear layer's gradients."""
        inputs, weight = ctx.saved_tensors
        (slope,) = grads
        to_inputs = slope @ weight if ctx.needs_input_grad[1] else None
        rows = slope.reshape(-1, slope.shape[-1])
        to_weight = None
        if ctx.needs_input_grad[2]:
            to_weight = rows.T @ inputs.reshape(-1, inputs.shape[-1])
        to_bias = rows.sum(dim=0) if ctx.has_bias and ctx.needs_input_grad[3] else None
        return None, to_inputs, to_weight, to_bias
