"""Families that depend on the logits through the probability of the label alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
import torch.autograd.forward_ad as fwd
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.losses.base import LossFamily
from metaloss.losses.numerics import cross_entropy, true_class_log_prob


class OfLabel(LossFamily, ABC):
    r"""A family :math:`\mathcal{L}(\log f_y, \Lambda)`: cross entropy with weighted gradients.

    .. math:: \frac{\partial \mathcal{L}}{\partial z} =
              v \, \frac{\partial \mathcal{L}_{CE}}{\partial z}, \qquad
              v = -\frac{\partial \mathcal{L}}{\partial \log f_y}

    The weight has a short formula where the loss has a long one. With hyperparameters that are
    constants, a backward pass needs nothing else.
    """

    _weight_fits: ClassVar[bool]

    def __init_subclass__(cls) -> None:
        """Look up whether ``weight`` is that of the subclass's loss."""
        super().__init_subclass__()
        # A subclass of a family may have another loss, and inherit the weight.
        methods = {"per_sample", "of_log_prob", "weight"}
        latest = next(methods & vars(c).keys() for c in cls.__mro__ if methods & vars(c).keys())
        cls._weight_fits = "weight" in latest and "per_sample" not in latest

    @abstractmethod
    def of_log_prob(
        self, log_p: Float[Tensor, " batch"], hparams: Float[Tensor, "batch hyperparameters"]
    ) -> Float[Tensor, " batch"]:
        r"""Return the loss of each sample from :math:`\log f_y`."""

    @abstractmethod
    def weight(
        self, log_p: Float[Tensor, " batch"], hparams: Float[Tensor, "batch hyperparameters"]
    ) -> Float[Tensor, " batch"]:
        """Return the weight of each sample's gradient relative to that of cross entropy."""

    def per_sample(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        hparams: Float[Tensor, "batch hyperparameters"],
    ) -> Float[Tensor, " batch"]:
        """Return the loss of each sample."""
        return self.of_log_prob(true_class_log_prob(outputs, targets), hparams)

    def of_constants(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        hparams: Float[Tensor, "batch hyperparameters"],
    ) -> Float[Tensor, " batch"]:
        """Return the loss of each sample; its gradient is computed from the weight."""
        if _transformed() or not self._weight_fits:
            return self.per_sample(outputs, targets, hparams)
        found: Tensor = _Weighted.apply(  # type: ignore[no-untyped-call]
            self, cross_entropy(outputs, targets), hparams
        )
        return found


class _Weighted(torch.autograd.Function):
    """The loss of a family, and its derivative by the cross entropy as the weight."""

    @staticmethod
    def forward(ctx: Any, family: OfLabel, ce: Tensor, hparams: Tensor) -> Tensor:
        ctx.family = family
        ctx.save_for_backward(ce, hparams)
        return family.of_log_prob(-ce, hparams)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[None, Tensor, None]:
        ce, hparams = ctx.saved_tensors
        return None, slope * ctx.family.weight(-ce, hparams), None


def _transformed() -> bool:
    """Whether a compiler, a function transform or forward mode takes derivatives of its own."""
    transforms = torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()
    return transforms or fwd._current_level >= 0
