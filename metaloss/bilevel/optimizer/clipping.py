r"""Gradient clipping, as a differentiable function and as an in-place operation.

torch clips in place between ``backward`` and ``step``. A lookahead cannot see this from outside
and has to be told. Both forms here compute the same numbers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from metaloss.bilevel.optimizer.torch_rules import as_real
from metaloss.checks import check_in_range, require

Grads = dict[str, Tensor]


class Clip(ABC):
    """A way to clip gradients, without state."""

    @abstractmethod
    def clipped(self, grads: Grads) -> Grads:
        """Return the clipped gradients, differentiable in the given ones.

        Args:
            grads: the gradients of all parameters that a step changes, by name.
        """

    @abstractmethod
    def clip_(self, params: Iterable[nn.Parameter]) -> None:
        """Clip the ``.grad`` of the parameters in place, as in a real step."""


@dataclass(frozen=True)
class ClipNorm(Clip):
    r"""Limit the total norm of all gradients, as ``torch.nn.utils.clip_grad_norm_`` does.

    .. math:: g \leftarrow g \cdot \min\Bigl(1, \frac{c}{\lVert g \rVert_2 + 10^{-6}}\Bigr)

    Args:
        max_norm: :math:`c`, above 0.

    Raises:
        InputError: a norm that is not a number above 0.

    Example:
        >>> import torch
        >>> from metaloss.bilevel import ClipNorm
        >>> ClipNorm(5.0).clipped({"w": torch.tensor([30.0, 40.0])})["w"]
        tensor([3.0000, 4.0000])
    """

    max_norm: float

    def __post_init__(self) -> None:
        """Check the norm."""
        _check_positive("max_norm", self.max_norm)

    def clipped(self, grads: Grads) -> Grads:
        """Return the gradients, scaled down if their total norm is too large."""
        square = torch.stack([as_real(g).square().sum() for g in grads.values()]).sum()
        # The square root is not differentiable at 0, where nothing is clipped anyway.
        norm = square.clamp_min(torch.finfo(square.dtype).tiny).sqrt()
        factor = (self.max_norm / (norm + 1e-6)).clamp(max=1.0)
        return {name: g * factor for name, g in grads.items()}

    def clip_(self, params: Iterable[nn.Parameter]) -> None:
        """Clip in place with ``torch.nn.utils.clip_grad_norm_``."""
        clip_grad_norm_(params, self.max_norm)


@dataclass(frozen=True)
class ClipValue(Clip):
    r"""Limit each element of the gradients, as ``torch.nn.utils.clip_grad_value_`` does.

    Args:
        max_value: the greatest absolute value of an element, above 0.

    Raises:
        InputError: a value that is not a number above 0.

    Example:
        >>> import torch
        >>> from metaloss.bilevel import ClipValue
        >>> ClipValue(1.0).clipped({"w": torch.tensor([-3.0, 0.5])})["w"]
        tensor([-1.0000,  0.5000])
    """

    max_value: float

    def __post_init__(self) -> None:
        """Check the value."""
        _check_positive("max_value", self.max_value)

    def clipped(self, grads: Grads) -> Grads:
        """Return the gradients, each element clamped to the limits."""
        return {name: g.clamp(-self.max_value, self.max_value) for name, g in grads.items()}

    def clip_(self, params: Iterable[nn.Parameter]) -> None:
        """Clip in place with ``torch.nn.utils.clip_grad_value_``."""
        clip_grad_value_(params, self.max_value)


def _check_positive(name: str, value: float) -> None:
    check_in_range(name, value, 0.0)
    require(value > 0, f"{name}: expected a number above 0, got {value!r}")
