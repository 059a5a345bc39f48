"""Gradient transformations that depend on their state only, and are differentiable at zero.

They replace three of TorchOpt's. TorchOpt's momentum remembers in a closure whether it has been
called. Its RMSprop, and its Adam unless ``eps_root`` is positive, differentiate a square root at 0
where a gradient is exactly zero, which gives NaN. Its Adam also corrects the bias in float32
whatever the parameters' dtype is, so the first steps are off by 1e-5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torchopt.base import GradientTransformation

# Added under the square root of a second moment. It makes the root differentiable at 0, and is too
# small to change a step.
EPS_ROOT = 1e-30


class HeavyBallState(NamedTuple):
    """Momentum buffers, and whether each of them has been filled."""

    buffers: tuple[Tensor, ...]
    started: tuple[bool, ...]


def heavy_ball(
    momentum: float, dampening: float = 0.0, nesterov: bool = False
) -> GradientTransformation:
    """Return ``torch.optim.SGD``'s momentum as a transformation that depends on its state only.

    A buffer's first value is the gradient itself, without dampening, as in ``torch.optim``.

    Example:
        >>> from metaloss.bilevel.optimizer.transforms import heavy_ball
        >>> import torch
        >>> ball = heavy_ball(0.9)
        >>> params = gradient = (torch.ones(1),)
        >>> state = ball.init(params)
        >>> for _ in range(2):
        ...     update, state = ball.update(gradient, state, params=params, inplace=False)
        >>> update[0]
        tensor([1.9000])
    """

    def init(params: Sequence[Tensor]) -> HeavyBallState:
        return HeavyBallState(
            tuple(torch.zeros_like(p) for p in params), tuple(False for _ in params)
        )

    def update(
        updates: Sequence[Tensor],
        state: HeavyBallState,
        *,
        params: object = None,  # noqa: ARG001 - TorchOpt's signature
        inplace: bool = False,
    ) -> tuple[tuple[Tensor, ...], HeavyBallState]:
        buffers = tuple(
            momentum * b + (1 - dampening) * g if started else g
            for g, b, started in zip(updates, state.buffers, state.started, strict=True)
        )
        new_state = HeavyBallState(buffers, tuple(True for _ in buffers))
        if nesterov:
            return tuple(g + momentum * b for g, b in zip(updates, buffers, strict=True)), new_state
        # The next transformation may write to the updates, so they must not be the state itself.
        return tuple(b.clone() for b in buffers) if inplace else buffers, new_state

    return GradientTransformation(init, update)


class AdaptiveMomentsState(NamedTuple):
    """Averages of gradients and of squared gradients, and the number of steps averaged."""

    mean: tuple[Tensor, ...]
    square: tuple[Tensor, ...]
    steps: tuple[Tensor, ...]


def adaptive_moments(
    b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8
) -> GradientTransformation:
    """Return ``torch.optim.Adam``'s rescaling, differentiable where a gradient is exactly zero.

    Example:
        >>> import torch
        >>> adam = adaptive_moments()
        >>> gradient = (torch.tensor([3.0]),)
        >>> update, _ = adam.update(gradient, adam.init(gradient), inplace=False)
        >>> update[0]
        tensor([1.0000])
    """

    def init(params: Sequence[Tensor]) -> AdaptiveMomentsState:
        zeros = tuple(torch.zeros_like(p) for p in params)
        steps = tuple(torch.zeros((), dtype=torch.int64) for _ in params)
        return AdaptiveMomentsState(zeros, zeros, steps)

    def update(
        updates: Sequence[Tensor],
        state: AdaptiveMomentsState,
        *,
        params: object = None,  # noqa: ARG001 - TorchOpt's signature
        inplace: bool = False,  # noqa: ARG001
    ) -> tuple[tuple[Tensor, ...], AdaptiveMomentsState]:
        steps = tuple(t + 1 for t in state.steps)
        mean = tuple(b1 * m + (1 - b1) * g for g, m in zip(updates, state.mean, strict=True))
        square = tuple(
            b2 * s + (1 - b2) * g * g for g, s in zip(updates, state.square, strict=True)
        )
        # In float64, because 1 - b2**t would lose most of its digits in float32.
        rescaled = tuple(
            m / (1 - b1 ** t.double()) / ((s / (1 - b2 ** t.double()) + EPS_ROOT).sqrt() + eps)
            for m, s, t in zip(mean, square, steps, strict=True)
        )
        return rescaled, AdaptiveMomentsState(mean, square, steps)

    return GradientTransformation(init, update)


class RootMeanSquareState(NamedTuple):
    """Averages of squared gradients and of gradients."""

    square: tuple[Tensor, ...]
    mean: tuple[Tensor, ...]


def root_mean_square(
    alpha: float = 0.99, eps: float = 1e-8, centered: bool = False
) -> GradientTransformation:
    """Return ``torch.optim.RMSprop``'s rescaling, differentiable where a gradient is exactly zero.

    Example:
        >>> from metaloss.bilevel.optimizer.transforms import root_mean_square
        >>> import torch
        >>> rms = root_mean_square(alpha=0.0)
        >>> gradient = (torch.tensor([3.0]),)
        >>> update, _ = rms.update(gradient, rms.init(gradient), inplace=False)
        >>> update[0]
        tensor([1.])
    """

    def init(params: Sequence[Tensor]) -> RootMeanSquareState:
        zeros = tuple(torch.zeros_like(p) for p in params)
        return RootMeanSquareState(zeros, zeros)

    def update(
        updates: Sequence[Tensor],
        state: RootMeanSquareState,
        *,
        params: object = None,  # noqa: ARG001 - TorchOpt's signature
        inplace: bool = False,  # noqa: ARG001
    ) -> tuple[tuple[Tensor, ...], RootMeanSquareState]:
        square = tuple(
            alpha * s + (1 - alpha) * g * g for g, s in zip(updates, state.square, strict=True)
        )
        mean = state.mean
        variance = square
        if centered:
            mean = tuple(
                alpha * m + (1 - alpha) * g for g, m in zip(updates, state.mean, strict=True)
            )
            # Rounding can make a variance of zero negative.
            variance = tuple((s - m * m).clamp_min(0) for s, m in zip(square, mean, strict=True))
        rescaled = tuple(
            g / ((v + EPS_ROOT).sqrt() + eps) for g, v in zip(updates, variance, strict=True)
        )
        return rescaled, RootMeanSquareState(square, mean)

    return GradientTransformation(init, update)
