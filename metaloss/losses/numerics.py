"""Functions of one variable whose textbook form divides zero by zero.

Each is a power series near the bad point and the textbook form elsewhere. ``torch.where`` sends a
zero gradient through the branch it does not take, so that branch is given a harmless argument:
zero times infinity would be NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

# The first term that is left out is below float64's last digit, in second derivatives 1e-12.
_SERIES_BELOW, _TERMS = 0.05, 8
_HALF = (torch.bfloat16, torch.float16)
# torch leaves labels of -100 out unless told another number: here they are errors as any other.
_NO_LABEL = torch.iinfo(torch.int64).min


def full_precision(values: Tensor) -> Tensor:
    """Half-precision values as float32, others as they are.

    Exponents and logarithms of probabilities lose everything in eight bits of mantissa.

    Example:
        >>> import torch
        >>> from metaloss.losses.numerics import full_precision
        >>> full_precision(torch.zeros(1, dtype=torch.bfloat16)).dtype
        torch.float32
    """
    return values.float() if values.dtype in _HALF else values


def at_least_single(fn: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """What moves or casts a module's tensors, but never to half precision.

    For modules whose numbers must not be rounded to eight bits of mantissa with the network's.

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
    """``log f_y``, the log of the softmax at the label; at most 0.

    Example:
        >>> import torch
        >>> from metaloss.losses.numerics import true_class_log_prob
        >>> true_class_log_prob(torch.zeros(1, 4), torch.tensor([2])).exp()
        tensor([0.2500])
    """
    return -F.cross_entropy(outputs, targets, reduction="none", ignore_index=_NO_LABEL)


def other_classes_log_prob(
    outputs: Float[Tensor, "batch classes"], targets: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """``log (1 - f_y)``, exact also where ``f_y`` is 1 to the last digit; at most 0.

    Example:
        >>> import torch
        >>> from metaloss.losses.numerics import other_classes_log_prob
        >>> other_classes_log_prob(torch.tensor([[100.0, 0.0]]), torch.tensor([0]))
        tensor([-100.])
    """
    log_p = outputs.log_softmax(dim=1)
    own = log_p.gather(1, targets.unsqueeze(1)).squeeze(1)
    sure = own > math.log(0.5)
    # Where f_y is small it has all the digits of 1 - f_y, elsewhere the others have them.
    others = log_p.scatter(1, targets.unsqueeze(1), -torch.inf).logsumexp(dim=1)
    return torch.where(sure, others, torch.log1p(-torch.where(sure, -1.0, own).exp()))


def expm1_quotient(
    x: Float[Tensor, "*#shape"], q: Float[Tensor, "*#shape"]
) -> Float[Tensor, "*#shape"]:
    r"""``(exp(q x) - 1) / q`` and its first two derivatives, also at ``q = 0``, where it is ``x``.

    Example:
        >>> import torch
        >>> from metaloss.losses.numerics import expm1_quotient
        >>> expm1_quotient(torch.tensor([-2.0, -2.0]), torch.tensor([0.0, 1.0]))
        tensor([-2.0000, -0.8647])
    """
    product = q * x
    small = product.abs() < _SERIES_BELOW
    # The quotient's derivative by q cancels near 0. There it is x times the first terms of
    # sum (q x)^n / (n + 1)!; each `where` gives the branch that is not taken a harmless argument,
    # for zero times infinity would be NaN.
    series = torch.where(small, product, 0.0)
    total = torch.full_like(product, 1 / math.factorial(_TERMS))
    for n in range(_TERMS - 1, 0, -1):
        total = total * series + 1 / math.factorial(n)
    far = torch.expm1(product) / torch.where(small, 1.0, q)
    return torch.where(small, x * total, far)
