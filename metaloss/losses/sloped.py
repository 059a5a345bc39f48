"""A loss of the label's probability with its slope written down, for given hyperparameters.

Where hyperparameters are learned, a loss needs formulas whose every derivative autograd finds to
the last digit, near the limits too, and those are long. Where nothing is learned of them, as with
an adjuster that is carried over, the textbook's value and slope will do, in a fraction of the time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import forward_ad

Curve = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From ``log f_y`` and a hyperparameter, both ``[batch]``, to the loss and its slope."""


def only_slopes_count(hparams: Tensor) -> bool:
    """Whether these hyperparameters are numbers, and derivatives are found by backward alone.

    No where a hyperparameter is learned, nor in forward mode, in a transform of ``torch.func`` or
    under a function mode, as a lookahead's are: there derivatives take ways that a formula must
    be seen for. No under ``torch.compile``, which sees to the time itself.

    Example:
        >>> import torch
        >>> from metaloss.losses.sloped import only_slopes_count
        >>> only_slopes_count(torch.zeros(1)), only_slopes_count(torch.zeros(1, requires_grad=True))
        (True, False)
    """
    return not (
        hparams.requires_grad
        or torch.compiler.is_compiling()
        or forward_ad._current_level >= 0
        or torch._C._are_functorch_transforms_active()
        or torch._C._len_torch_function_stack() > 0
    )


def sloped(
    curve: Curve, log_p: Float[Tensor, " batch"], hparam: Float[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """A curve's loss, differentiable in ``log_p`` once more often than its slope is.

    Args:
        curve: what to evaluate.
        log_p: ``log f_y``, at most 0.
        hparam: the hyperparameter, in which the result has no derivative.

    Example:
        >>> import torch
        >>> from metaloss.losses.sloped import sloped
        >>> log_p = torch.tensor([-1.0], requires_grad=True)
        >>> loss = sloped(lambda x, q: (-q * x, -q), log_p, torch.tensor([2.0]))
        >>> torch.autograd.grad(loss.sum(), log_p)
        (tensor([-2.]),)
    """
    loss: Tensor = _Sloped.apply(curve, log_p, hparam)  # type: ignore[no-untyped-call]
    return loss


class _Sloped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, curve: Curve, log_p: Tensor, hparam: Tensor) -> Tensor:
        ctx.curve = curve
        loss, slope = curve(log_p, hparam)
        ctx.save_for_backward(log_p, hparam, slope)
        return loss

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor, None]:
        log_p, hparam, slope = ctx.saved_tensors
        if torch.is_grad_enabled():  # the slope is to be differentiated as well
            _, slope = ctx.curve(log_p, hparam)
        return None, grads[0] * slope, None
