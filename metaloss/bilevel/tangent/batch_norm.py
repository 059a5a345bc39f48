r"""Batch normalization in training, made of its two fused kernels.

With :math:`\hat x = (x - \mu) r`, channel by channel over :math:`n` values, its Jacobian in
:math:`x` is symmetric, :math:`\gamma r\,(1 - \tfrac1n 1 1^\top - \tfrac1n \hat x \hat x^\top)`.
So the backward kernel carries tangents as well as gradients, and what weight and bias add to a
tangent is a normalization again. torch's own formulas for tangents and second derivatives go over
the data again and again in single operations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from metaloss.bilevel.function_modes import Function, FunctionMode


class BatchNorm(NamedTuple):
    """The arguments of ``torch.nn.functional.batch_norm``."""

    input: Any
    running_mean: Tensor | None
    running_var: Tensor | None
    weight: Any = None
    bias: Any = None
    training: bool = False
    momentum: float = 0.1
    eps: float = 1e-5

    def __call__(self) -> tuple[Tensor, Tensor, Tensor]:
        """Call it: the outputs, and the batch's mean and reciprocal standard deviation."""
        return torch.native_batch_norm(
            self.input,
            self.weight,
            self.bias,
            self.running_mean,
            self.running_var,
            self.training,
            self.momentum,
            self.eps,
        )


class Statistics(NamedTuple):
    r"""Of a batch, ``[channels]`` each.

    Attributes:
        mean: :math:`\mu`.
        rstd: :math:`r`, one over the square root of the variance and ``eps``.
    """

    mean: Tensor
    rstd: Tensor


class Pulled(NamedTuple):
    """Gradients in the inputs, weight and bias of a batch normalization."""

    inputs: Tensor
    weight: Tensor
    bias: Tensor


def normalize(
    inputs: Tensor, weight: Tensor | None, bias: Tensor | None, known: Statistics
) -> Tensor:
    r"""``(inputs - mean) * rstd * weight + bias``, channel by channel, in one kernel.

    On the CPU it gives what the training kernel gives to the last bit: were the values off by a
    rounding error, rectifiers close to zero would let through other tangents.

    Args:
        inputs: ``[batch, channels, ...]``.
        weight: ``[channels]``; 1 if not given.
        bias: ``[channels]``; 0 if not given.
        known: the batch's statistics.
    """
    zero, one = torch.zeros_like(known.mean), torch.ones_like(known.mean)
    scale = known.rstd if weight is None else known.rstd * weight
    shift = torch.addcmul(zero if bias is None else bias, known.mean, scale, value=-1)
    return _scaled(inputs, scale, shift, zero, one)


def pull_back(slope: Tensor, inputs: Tensor, weight: Tensor | None, known: Statistics) -> Pulled:
    """The gradients of a batch normalization in training.

    Args:
        slope: the gradient in its outputs, ``[batch, channels, ...]``.
        inputs: ``[batch, channels, ...]``.
        weight: ``[channels]``; 1 if not given.
        known: the batch's statistics.
    """
    # eps is part of rstd already: the kernel reads it in evaluation mode alone.
    return Pulled(
        *torch.ops.aten.native_batch_norm_backward(
            slope, inputs, weight, None, None, *known, True, 0.0, [True, True, True]
        )
    )


def push_forward(
    tangent: Tensor | None,
    weight_tangent: Tensor | None,
    bias_tangent: Tensor | None,
    inputs: Tensor,
    weight: Tensor | None,
    known: Statistics,
) -> Tensor | None:
    """The tangent of the outputs; ``None`` if nothing has a tangent.

    Args:
        tangent: of the inputs, ``[batch, channels, ...]``.
        weight_tangent: ``[channels]``.
        bias_tangent: ``[channels]``.
        inputs: ``[batch, channels, ...]``.
        weight: ``[channels]``; 1 if not given.
        known: the batch's statistics.
    """
    through = None if tangent is None else pull_back(tangent, inputs, weight, known).inputs
    if weight_tangent is None and bias_tangent is None:
        return through
    if weight_tangent is None:
        weight_tangent = torch.zeros_like(known.mean)
    affine = normalize(inputs, weight_tangent, bias_tangent, known)
    return affine if through is None else through.add_(affine)


class Normalized(torch.autograd.Function):
    """A batch normalization in training whose statistics are known; twice differentiable."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,  # noqa: ARG004
        mean: Tensor,
        rstd: Tensor,
        known: Tensor,
    ) -> Tensor:
        """Return the outputs, which are known.

        Args:
            ctx: torch's.
            inputs: ``[batch, channels, ...]``.
            weight: ``[channels]``; 1 if not given.
            bias: ``[channels]``; 0 if not given.
            mean: of ``inputs``, ``[channels]``.
            rstd: of ``inputs``, ``[channels]``.
            known: the outputs.
        """
        ctx.save_for_backward(inputs, weight, mean, rstd)
        # What a Function returns must not be a view, or nobody could write to it.
        return known.new_empty(0).set_(known)  # type: ignore[call-overload]

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        """The gradients, differentiable themselves."""
        found = _PulledBack.apply(*slopes, *ctx.saved_tensors)  # type: ignore[no-untyped-call]
        wanted = zip(found, ctx.needs_input_grad, strict=False)
        return *(g if want else None for g, want in wanted), None, None, None


class _PulledBack(torch.autograd.Function):
    r"""The gradients as a function of the slope :math:`g`, of :math:`x` and of :math:`\gamma`."""

    @staticmethod
    def forward(
        ctx: Any, slope: Tensor, inputs: Tensor, weight: Tensor | None, mean: Tensor, rstd: Tensor
    ) -> tuple[Tensor, ...]:
        """The gradients in inputs, weight and bias."""
        pulled = pull_back(slope, inputs, weight, Statistics(mean, rstd))
        ctx.save_for_backward(slope, inputs, weight, mean, rstd, pulled.weight, pulled.bias)
        ctx.set_materialize_grads(False)
        return tuple(pulled)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *adjoints: Tensor | None) -> Any:
        r"""The second derivatives, of what the adjoints make of the three gradients.

        That is :math:`\langle v, \gamma r P g \rangle + \langle v_\gamma, g^\top \hat x \rangle
        + \langle v_\beta, g^\top 1 \rangle`, :math:`P` the symmetric projection. In :math:`g` it is
        the tangent along :math:`(v, v_\gamma, v_\beta)`. In :math:`x`, with
        :math:`p = v^\top \hat x`, :math:`q = g^\top \hat x`, means :math:`\bar v, \bar g` and
        :math:`S = v^\top g - n \bar v \bar g - pq/n`, it is

        .. math:: -\frac{\gamma r^2}{n} \Bigl[\bigl(S - \tfrac{2pq}{n}\bigr) \hat x
                  + q (v - \bar v) + p (g - \bar g)\Bigr]
                  + v_\gamma r \bigl(g - \bar g - \tfrac{q}{n} \hat x\bigr),

        and in :math:`\gamma` it is :math:`r S`.
        """
        slope, inputs, weight, mean, rstd, q, slope_sum = ctx.saved_tensors
        known = Statistics(mean, rstd)
        v, v_weight, v_bias = adjoints
        to_slope = push_forward(v, v_weight, v_bias, inputs, weight, known)
        if v is None and v_weight is None:
            return to_slope, None, None, None, None
        n = inputs.numel() // mean.numel()
        g_mean = slope_sum / n
        of_x, of_v, of_g, constant = (torch.zeros_like(mean) for _ in range(4))
        to_weight = None
        if v is not None:
            _, p, v_sum = pull_back(v, inputs, weight, known)
            v_mean = v_sum / n
            s = _channel_sums(v * slope) - n * v_mean * g_mean - p * q / n
            to_weight = rstd * s
            factor = -rstd.square() / n if weight is None else -weight * rstd.square() / n
            of_x = factor * (s - 2 * p * q / n)
            of_v, of_g = factor * q, factor * p
            constant = -of_v * v_mean - of_g * g_mean
        if v_weight is not None:
            of_g = of_g + v_weight * rstd
            of_x = of_x - v_weight * rstd * q / n
            constant = constant - v_weight * rstd * g_mean
        to_inputs = normalize(inputs, of_x, constant, known)
        zero, one = torch.zeros_like(mean), torch.ones_like(mean)
        to_inputs.add_(_scaled(slope, of_g, zero, zero, one))
        if v is not None:
            to_inputs.add_(_scaled(v, of_v, zero, zero, one))
        return to_slope, to_inputs, None if weight is None else to_weight, None, None


class FastSecondDerivatives(FunctionMode):
    """A mode in which batch normalizations in training have these second derivatives."""

    def call(self, func: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call ``func``, or its replacement."""
        if func is F.batch_norm:
            given = BatchNorm(*args, **kwargs)
            if given.training:
                return _twice_differentiable(given)
        return func(*args, **kwargs)


def _twice_differentiable(given: BatchNorm) -> Tensor:
    with torch.no_grad():
        out, mean, rstd = given()
    return Normalized.apply(  # type: ignore[no-untyped-call]
        given.input, given.weight, given.bias, mean, rstd, out
    )


def _scaled(inputs: Tensor, scale: Tensor, shift: Tensor, zero: Tensor, one: Tensor) -> Tensor:
    """Channel by channel, by the kernel for evaluation, which is one pass over the data."""
    return torch.native_batch_norm(inputs, scale, shift, zero, one, False, 0.0, 0.0)[0]


def _channel_sums(values: Tensor) -> Tensor:
    return values.sum(dim=[d for d in range(values.ndim) if d != 1])
