"""The base class of meta losses."""

from __future__ import annotations

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor

from metaloss.kinds import Kind
from metaloss.types import Outputs, Targets


class MetaLoss(ABC):
    """The loss of a meta batch after a training step, a scalar (Eq. 9).

    :class:`~metaloss.bilevel.Lookahead` and :class:`~metaloss.bilevel.Lookback` take one as
    ``meta_loss``. They take any function of outputs and targets too; a meta loss also says
    whether it takes labels that nobody checked.

    To define one, subclass it as a frozen dataclass, set ``symmetric`` and implement ``fits`` and
    ``per_sample``.

    Attributes:
        symmetric: whether the sum of its values over all labels is constant (Definition 2). Its
            minimiser under symmetric label noise is then that without noise, at rates below
            :math:`1 - 1/c` (Theorem 1). Under class-dependent noise it is too, if each class keeps
            its own label most often and the loss can be 0 without noise (Theorem 2).
    """

    symmetric: bool

    @property
    def noise_tolerant(self) -> bool:
        """Whether it takes targets that nobody checked (Definition 1).

        For class labels this means symmetric. For regression it means that a target far away pulls
        no harder than a near one, as with the absolute error.
        """
        return self.symmetric

    @abstractmethod
    def fits(self, kind: Kind) -> bool:
        """Whether it is for targets of this kind."""

    @abstractmethod
    def per_sample(self, outputs: Outputs, targets: Targets) -> Float[Tensor, " batch"]:
        """Return the loss of each sample; the arguments are those of a call."""

    def __call__(self, outputs: Outputs, targets: Targets) -> Float[Tensor, ""]:
        """Return the mean loss of a batch.

        Args:
            outputs: logits ``[batch, classes]``, or values ``[batch, values]`` for regression.
            targets: int64 labels ``[batch]``, or values shaped as ``outputs``.
        """
        return self.per_sample(outputs, targets).mean()
