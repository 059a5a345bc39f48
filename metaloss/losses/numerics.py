"""Functions that keep their precision, and that of their derivatives, where the textbook's do not.

Where a function has two branches, the one that is not taken gets a harmless argument.
``torch.where`` passes a zero gradient through it, and zero times infinity would be NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

# The truncated terms are below float64's precision, and 1e-12 in second derivatives.
_SERIES_BELOW, _TERMS = 0.05, 8
_HALF = (torch.bfloat16, torch.float16)
# torch ignores labels of -100 by default; here they are errors like any other.
_NO_LABEL = torch.iinfo(torch.int64).min


def full_precision(values: Tensor) -> Tensor:
    """Return half-precision values as float32, and others unchanged.

    Exponentials and logarithms of probabilities lose their precision in eight bits of mantissa.

    Example:
        >>> import torch
        >>> from metaloss.losses.numerics import full_precision
        >>> full_precision(torch.zeros(1, dtype=torch.bfloat16)).dtype
        torch.float32
    """
    return values.float() if values.dtype in _HALF else values


def default_precision() -> torch.dtype:
    """Return torch's default dtype, or float32 if that is half precision.

    For what is kept from step to step: learned weights, their ranges, and sums over batches.

    Example:
        >>> from metaloss.losses.numerics import default_precision
        >>> default_precision()
        torch.float32
    """
    return torch.promote_types(torch.get_default_dtype(), torch.float32)


def at_least_single(fn: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Wrap a function that moves or casts tensors so that it does not cast them to half precision.

    For the ``_apply`` of modules that keep their precision when the network is cast.

    Example:
        >>> import torch
        >>> from metaloss.losses.numerics import at_least_single
        >>> cast = at_least_single(lambda values: values.bfloat16())
        >>> cast(torch.tensor([257.0])).item(), cast(torch.tensor([3])).dtype
        (257.0, torch.bfloat16)
    """

    def moved(values: Tensor) -> Tensor:
        found = fn(values)
        rounded = found.dtype in _HALF and values.dtype in {torch.float32, torch.float64}
        return values.to(found.device, torch.float32) if rounded else found

    return moved


def true_class_log_prob(
    outputs: Float[Tensor, "batch classes"], targets: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Return ``log f_y``, the log-softmax at the label; at most 0.

    Example:
        >>> import torch
        >>> from metaloss.losses.numerics import true_class_log_prob
        >>> true_class_log_prob(torch.zeros(1, 4), torch.tensor([2])).exp()
        tensor([0.2500])
    """
    return -cross_entropy(outputs, targets)


def cross_entropy(
    outputs: Float[Tensor, "batch classes"], targets: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Return ``-log f_y``; no label is ignored.

    Example:
        >>> import torch
        >>> from metaloss.losses.numerics import cross_entropy
        >>> cross_entropy(torch.zeros(1, 2), torch.tensor([0]))
        tensor([0.6931])
    """
    return F.cross_entropy(outputs, targets, reduction="none", ignore_index=_NO_LABEL)


def at_label(
    values: Float[Tensor, "batch classes"], targets: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Return each sample's value of its label.

    Example:
        >>> import torch
        >>> from metaloss.losses.numerics import at_label
        >>> at_label(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([1, 0]))
        tensor([2., 3.])
    """
    return values.gather(1, targets.unsqueeze(1)).squeeze(1)


def other_classes_log_prob(
    outputs: Float[Tensor, "batch classes"], targets: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Return ``log (1 - f_y)``, precise also where ``f_y`` rounds to 1; at most 0.

    Example:
        >>> import torch
        >>> from metaloss.losses.numerics import other_classes_log_prob
        >>> other_classes_log_prob(torch.tensor([[100.0, 0.0]]), torch.tensor([0]))
        tensor([-100.])
    """
    log_p = outputs.log_softmax(dim=1)
    own = at_label(log_p, targets)
    sure = own > math.log(0.5)
    # From f_y where it is small, else from the probabilities of the other classes.
    others = log_p.scatter(1, targets.unsqueeze(1), -torch.inf).logsumexp(dim=1)
    return torch.where(sure, others, torch.log1p(-torch.where(sure, -1.0, own).exp()))


def expm1_quotient(
    x: Float[Tensor, "*#shape"], q: Float[Tensor, "*#shape"]
) -> Float[Tensor, "*#shape"]:
    r"""Return ``(exp(q x) - 1) / q``, which is ``x`` at ``q = 0``, with two precise derivatives.

    Example:
        >>> import torch
        >>> from metaloss.losses.numerics import expm1_quotient
        >>> expm1_quotient(torch.tensor([-2.0, -2.0]), torch.tensor([0.0, 1.0]))
        tensor([-2.0000, -0.8647])
    """
    product = q * x
    small = product.abs() < _SERIES_BELOW
    # Near 0 the quotient's derivative by q suffers from cancellation. Use x times the first terms
    # of sum (q x)^n / (n + 1)! there, as 1 + (q x / 2) (1 + (q x / 3) (1 + ...)).
    series = product.clamp(-_SERIES_BELOW, _SERIES_BELOW)
    one = torch.ones_like(product)
    total = one
    for n in range(_TERMS, 1, -1):
        total = torch.addcmul(one, series, total, value=1 / n)
    far = torch.expm1(product) / torch.where(small, 1.0, q)
    return torch.where(small, x * total, far)
