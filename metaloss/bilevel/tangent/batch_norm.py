r"""Derivatives of batch normalization in training mode, computed by torch's two fused kernels.

Let :math:`\hat x = (x - \mu) r`, per channel with :math:`n` values. Then the Jacobian in :math:`x`
is symmetric: :math:`\gamma r\,(1 - \tfrac1n 1 1^\top - \tfrac1n \hat x \hat x^\top)`. So the
backward kernel can propagate tangents as well as gradients. The terms that weight and bias add to a
tangent are another normalization. torch's own formulas for tangents and second derivatives take
many passes over the data instead.
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
        """Return the outputs, and the batch's mean and reciprocal standard deviation."""
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
    r"""The statistics of a batch.

    Attributes:
        mean: :math:`\mu`, ``[channels]``.
        rstd: :math:`r`, ``[channels]``: one over the square root of the variance plus ``eps``.
    """

    mean: Tensor
    rstd: Tensor


class Pulled(NamedTuple):
    """The gradients in the inputs, weight and bias of a batch normalization."""

    inputs: Tensor
    weight: Tensor
    bias: Tensor


def normalize(
    inputs: Tensor, weight: Tensor | None, bias: Tensor | None, known: Statistics
) -> Tensor:
    r"""Compute ``(inputs - mean) * rstd * weight + bias`` per channel, in one kernel.

    On the CPU the result equals that of the training kernel to the last bit. Otherwise a rounding
    error could change the sign of a rectifier's input close to zero, and so its tangent.

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
    """Compute the gradients of a batch normalization in training mode.

    Args:
        slope: the gradient in the outputs, ``[batch, channels, ...]``.
        inputs: ``[batch, channels, ...]``.
        weight: ``[channels]``; 1 if not given.
        known: the batch's statistics.
    """
    # eps is 0 because rstd includes it already; the kernel reads eps in evaluation mode only.
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
    """Compute the tangent of the outputs; ``None`` if no argument has a tangent.

    Args:
        tangent: the tangent of the inputs, ``[batch, channels, ...]``.
        weight_tangent: the tangent of the weight, ``[channels]``.
        bias_tangent: the tangent of the bias, ``[channels]``.
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
    """A batch normalization in training mode with known statistics; twice differentiable."""

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
        """Return the known outputs; the other arguments are those of :func:`normalize`."""
        ctx.save_for_backward(inputs, weight, mean, rstd)
        # A Function's output must not be a view, because a later layer could not write to it.
        return known.new_empty(0).set_(known)  # type: ignore[call-overload]

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        """Return the gradients, which are differentiable themselves."""
        found = _PulledBack.apply(*slopes, *ctx.saved_tensors)  # type: ignore[no-untyped-call]
        wanted = zip(found, ctx.needs_input_grad, strict=False)
        return *(g if want else None for g, want in wanted), None, None, None


class _PulledBack(torch.autograd.Function):
    r"""The gradients as a function of the slope :math:`g`, of :math:`x` and of :math:`\gamma`."""

    @staticmethod
    def forward(
        ctx: Any, slope: Tensor, inputs: Tensor, weight: Tensor | None, mean: Tensor, rstd: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the gradients in the inputs, weight and bias."""
        pulled = pull_back(slope, inputs, weight, Statistics(mean, rstd))
        ctx.save_for_backward(slope, inputs, weight, mean, rstd, pulled.weight, pulled.bias)
        ctx.set_materialize_grads(False)
        return tuple(pulled)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *adjoints: Tensor | None) -> Any:
        r"""Return the derivatives of the inner product of the adjoints and the three gradients.

        The product is :math:`\langle v, \gamma r P g \rangle + \langle v_\gamma, g^\top \hat x
        \rangle + \langle v_\beta, g^\top 1 \rangle` with the symmetric projection :math:`P`. Its
        derivative in :math:`g` is the tangent along :math:`(v, v_\gamma, v_\beta)`. Let
        :math:`p = v^\top \hat x` and :math:`q = g^\top \hat x`, let :math:`\bar v, \bar g` be
        means, and :math:`S = v^\top g - n \bar v \bar g - pq/n`. Then its derivative in :math:`x`
        is

        .. math:: -\frac{\gamma r^2}{n} \Bigl[\bigl(S - \tfrac{2pq}{n}\bigr) \hat x
                  + q (v - \bar v) + p (g - \bar g)\Bigr]
                  + v_\gamma r \bigl(g - \bar g - \tfrac{q}{n} \hat x\bigr),

        and its derivative in :math:`\gamma` is :math:`r S`.
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
    """A mode in which batch normalizations in training mode have fast second derivatives."""

    def call(self, func: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call ``func`` or its replacement."""
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
    """Scale and shift each channel by the evaluation kernel, in one pass over the data."""
    return torch.native_batch_norm(inputs, scale, shift, zero, one, False, 0.0, 0.0)[0]


def _channel_sums(values: Tensor) -> Tensor:
    return values.sum(dim=[d for d in range(values.ndim) if d != 1])
