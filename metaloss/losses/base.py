"""What a loss family is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from metaloss.checks import InputError
from metaloss.kinds import CLASSIFICATION, Kind
from metaloss.losses.hyperparameter import Hyperparameter
from metaloss.losses.numerics import full_precision
from metaloss.types import Outputs, Targets


class LossFamily(ABC):
    """A per-sample loss with hyperparameters that may differ from sample to sample.

    A family is a value without state: it never reduces, never moves devices, and its columns of
    hyperparameters stand in the order of ``hyperparameters``. To define one, subclass a frozen
    dataclass, declare ``hyperparameters`` and write ``per_sample``; for regression set ``kind`` to
    :data:`metaloss.kinds.REGRESSION`.

    Attributes:
        hyperparameters: in the order of their columns.
        kind: whether its targets are classes or values.

    Example:
        >>> import torch
        >>> from metaloss.losses import GCE
        >>> loss = GCE()
        >>> outputs, targets = torch.zeros(4, 10), torch.arange(4)
        >>> loss(outputs, targets, loss.constant(4)).shape
        torch.Size([4])
    """

    hyperparameters: ClassVar[tuple[Hyperparameter, ...]]
    kind: ClassVar[Kind] = CLASSIFICATION

    @abstractmethod
    def per_sample(
        self,
        outputs: Outputs,
        targets: Targets,
        hparams: Float[Tensor, "batch hyperparameters"],
    ) -> Float[Tensor, " batch"]:
        """The loss of each sample, from full-precision outputs that have been checked."""

    def __call__(
        self,
        outputs: Outputs,
        targets: Targets,
        hparams: Float[Tensor, "batch hyperparameters"],
    ) -> Float[Tensor, " batch"]:
        """The loss of each sample.

        Args:
            outputs: logits ``[batch, classes]``, or values ``[batch, values]`` for regression; half
                precision is computed in float32.
            targets: labels ``[batch]``, int64, in ``0 .. classes - 1``, or values as the outputs.
            hparams: ``[batch, d']``, a column for each of ``hyperparameters``.

        Returns:
            ``[batch]``, float32 or float64.

        Raises:
            InputError: a shape or a dtype is not as above.
        """
        self.kind.check(outputs, targets)
        expected = [outputs.shape[0], len(self.hyperparameters)]
        if list(hparams.shape) != expected:
            raise InputError(
                f"hparams of {type(self).__name__}: expected shape {expected} for "
                f"({', '.join(h.name for h in self.hyperparameters)}), got {list(hparams.shape)}"
            )
        return self.per_sample(full_precision(outputs), targets, full_precision(hparams))

    @property
    def family(self) -> str:
        """What tables call it, whichever of its hyperparameters are held or in other ranges."""
        return type(self).__name__

    @property
    def defaults(self) -> tuple[float, ...]:
        """The default of each hyperparameter."""
        return tuple(h.default for h in self.hyperparameters)

    def constant(
        self,
        batch: int,
        values: Sequence[float] | None = None,
        *,
        like: Tensor | None = None,
    ) -> Float[Tensor, "batch hyperparameters"]:
        """The same hyperparameters for every sample.

        Args:
            batch: number of samples.
            values: one for each hyperparameter; their defaults if not given.
            like: a tensor whose dtype and device to use.

        Returns:
            ``[batch, d']``.
        """
        row = torch.tensor(
            tuple(values) if values is not None else self.defaults,
            dtype=None if like is None else like.dtype,
            device=None if like is None else like.device,
        )
        return row.expand(batch, -1)
