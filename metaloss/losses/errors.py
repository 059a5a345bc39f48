"""The plain losses of regression, which have no hyperparameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from metaloss.kinds import REGRESSION, Kind
from metaloss.losses.base import LossFamily
from metaloss.losses.hyperparameter import Hyperparameter


@dataclass(frozen=True)
class SquaredError(LossFamily):
    r"""Half the squared error, :math:`r^2 / 2`, averaged over a sample's values.

    Example:
        >>> from metaloss.losses import SquaredError
        >>> import torch
        >>> SquaredError()(torch.tensor([[3.0]]), torch.tensor([[1.0]]), torch.empty(1, 0))
        tensor([2.])
    """

    hyperparameters: ClassVar[tuple[Hyperparameter, ...]] = ()
    kind: ClassVar[Kind] = REGRESSION

    def per_sample(
        self,
        outputs: Float[Tensor, "batch values"],
        targets: Float[Tensor, "batch values"],
        hparams: Float[Tensor, "batch 0"],  # noqa: ARG002
    ) -> Float[Tensor, " batch"]:
        """Return the loss of each sample."""
        return REGRESSION.losses(outputs, targets)


@dataclass(frozen=True)
class AbsoluteError(LossFamily):
    r"""The absolute error, :math:`|r|`, averaged over a sample's values.

    Example:
        >>> from metaloss.losses import AbsoluteError
        >>> import torch
        >>> AbsoluteError()(torch.tensor([[3.0]]), torch.tensor([[1.0]]), torch.empty(1, 0))
        tensor([2.])
    """

    hyperparameters: ClassVar[tuple[Hyperparameter, ...]] = ()
    kind: ClassVar[Kind] = REGRESSION

    def per_sample(
        self,
        outputs: Float[Tensor, "batch values"],
        targets: Float[Tensor, "batch values"],
        hparams: Float[Tensor, "batch 0"],  # noqa: ARG002
    ) -> Float[Tensor, " batch"]:
        """Return the loss of each sample."""
        return REGRESSION.score(outputs, targets)
