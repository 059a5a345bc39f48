"""The base class of losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from metaloss.checks import InputError, seen
from metaloss.kinds import CLASSIFICATION, Kind
from metaloss.losses.hyperparameter import Hyperparameter
from metaloss.losses.numerics import default_precision, full_precision
from metaloss.types import Outputs, Targets


class LossFamily(ABC):
    """A per-sample loss with hyperparameters that may differ from sample to sample.

    A family has no state. It returns one loss for each sample, without reduction. To define one,
    subclass it as a frozen dataclass, declare ``hyperparameters`` and implement ``per_sample``;
    for regression set ``kind`` to :data:`metaloss.kinds.REGRESSION`.

    Attributes:
        hyperparameters: the hyperparameters, in the order of the columns of ``hparams``.
        kind: classification or regression.

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
        """Return the loss of each sample.

        The arguments are those of a call, checked and in float32 or float64.
        """

    def of_constants(
        self,
        outputs: Outputs,
        targets: Targets,
        hparams: Float[Tensor, "batch hyperparameters"],
    ) -> Float[Tensor, " batch"]:
        """Return the same as ``per_sample``, for hyperparameters without derivatives.

        A family may override it where that is quicker.
        """
        return self.per_sample(outputs, targets, hparams)

    def __call__(
        self,
        outputs: Outputs,
        targets: Targets,
        hparams: Float[Tensor, "batch hyperparameters"],
    ) -> Float[Tensor, " batch"]:
        """Return the loss of each sample.

        Args:
            outputs: logits ``[batch, classes]``, or values ``[batch, values]`` for regression. Half
                precision is converted to float32.
            targets: int64 labels ``[batch]`` in ``0 .. classes - 1``, or values shaped as
                ``outputs``.
            hparams: ``[batch, d']``, a column for each of ``hyperparameters``.

        Returns:
            The losses, ``[batch]``, float32 or float64.

        Raises:
            InputError: an argument has another shape or dtype.
        """
        self.kind.check(outputs, targets)
        return self.evaluate(outputs, targets, hparams)

    def evaluate(
        self,
        outputs: Outputs,
        targets: Targets,
        hparams: Float[Tensor, "batch hyperparameters"],
        *,
        constant: bool = False,
    ) -> Float[Tensor, " batch"]:
        """Return the loss of each sample, for outputs and targets that have been checked.

        Args:
            outputs: as for a call.
            targets: as for a call.
            hparams: as for a call.
            constant: whether no derivative is taken in the hyperparameters.

        Raises:
            InputError: hyperparameters of another shape, or a family whose ``per_sample`` does not
                return one loss for each sample.
        """
        expected = [outputs.shape[0], len(self.hyperparameters)]
        if list(hparams.shape) != expected:
            raise InputError(
                f"hparams of {type(self).__name__}: expected shape {expected} for "
                f"({', '.join(h.name for h in self.hyperparameters)}), got {list(hparams.shape)}"
            )
        compute = self.of_constants if constant else self.per_sample
        losses = compute(full_precision(outputs), targets, full_precision(hparams))
        # ``hparams * losses`` is easily written for ``hparams[:, 0] * losses``. It broadcasts to
        # [batch, batch], whose mean would be trained on without a sign of it.
        if not isinstance(losses, Tensor) or losses.shape != outputs.shape[:1]:
            raise InputError(
                f"{type(self).__name__}.per_sample: expected a loss for each sample, "
                f"{[outputs.shape[0]]}, got {seen(losses)}; a column of hparams is hparams[:, 0]"
            )
        return losses

    @property
    def family(self) -> str:
        """The name of the family, also where hyperparameters are fixed or have other ranges."""
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
        """Return the same hyperparameters for every sample.

        Args:
            batch: number of samples.
            values: one value for each hyperparameter; the defaults if not given.
            like: a tensor whose dtype and device are used.

        Returns:
            The hyperparameters, ``[batch, d']``.
        """
        row = torch.tensor(
            tuple(values) if values is not None else self.defaults,
            dtype=default_precision() if like is None else like.dtype,
            device=None if like is None else like.device,
        )
        return row.expand(batch, -1)
