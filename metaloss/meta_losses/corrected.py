"""Cross entropy corrected for known label noise, a meta loss for labels that nobody checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.checks import check_in_range, require
from metaloss.kinds import CLASSIFICATION, Kind
from metaloss.losses.numerics import full_precision, true_class_log_prob
from metaloss.meta_losses.base import MetaLoss


@dataclass(frozen=True)
class CorrectedCrossEntropy(MetaLoss):
    r"""Cross entropy between the noisy label and the probability that the network gives it.

    .. math:: -\log \sum_j f_j T_{jy}, \qquad
              T_{jy} = P(\text{noisy label } y \mid \text{true label } j)

    This is forward correction. Its minimiser on noisy labels is that of cross entropy on right
    ones, if :math:`T` is the noise and can be inverted. It is not symmetric. A network learns
    faster by it than by MAE: where :math:`f_y` is well above the noise its gradient is that of
    cross entropy, and where it is well below, the gradient fades.

    Args:
        rate: the rate of symmetric noise, in [0, 1 - 1/classes); every other class is as likely.
        transition: the noise itself, row ``j`` of which is the distribution of the noisy label of
            class ``j``. Either this or ``rate``.

    Raises:
        InputError: both or none are given, a rate out of range, rows that are not distributions, a
            matrix that cannot be inverted, or outputs of another number of classes.

    Example:
        >>> import torch
        >>> from metaloss.meta_losses import CorrectedCrossEntropy
        >>> CorrectedCrossEntropy(rate=0.4)(torch.tensor([[9.0, 0.0]]), torch.tensor([1]))
        tensor(0.9161)
        >>> CorrectedCrossEntropy(transition=((1.0, 0.0), (0.3, 0.7))).noise_tolerant
        True

    References:
        Patrini et al., Making deep neural networks robust to label noise: a loss correction
        approach, 2017, Theorem 2.
    """

    rate: float | None = None
    transition: Sequence[Sequence[float]] | None = None
    symmetric = False

    def __post_init__(self) -> None:
        """Check the noise."""
        require(
            (self.rate is None) != (self.transition is None),
            f"expected either rate or transition, got rate={self.rate} and "
            f"transition={'None' if self.transition is None else 'a matrix'}",
        )
        if self.rate is not None:
            check_in_range("rate", self.rate, low=0.0, high=1.0)
            return
        matrix = torch.as_tensor(self.transition, dtype=torch.float64)
        square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1]
        require(square, f"transition: expected a square matrix, got shape {list(matrix.shape)}")
        rows = bool((matrix >= 0).all()) and bool(((matrix.sum(1) - 1).abs() <= 1e-6).all())
        require(rows, "transition: expected rows that are >= 0 and sum to 1")
        require(
            int(torch.linalg.matrix_rank(matrix)) == len(matrix),
            "transition: expected a matrix that can be inverted, got one of two or more classes "
            "whose noisy labels cannot be told apart",
        )
        object.__setattr__(self, "transition", tuple(map(tuple, matrix.tolist())))

    @property
    def noise_tolerant(self) -> bool:
        """Whether it may judge by labels that nobody checked; it is made for them."""
        return True

    def fits(self, kind: Kind) -> bool:
        """Whether the targets are classes."""
        return kind == CLASSIFICATION

    def per_sample(
        self, outputs: Float[Tensor, "batch classes"], targets: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """Returns the loss of each sample."""
        outputs, classes = full_precision(outputs), outputs.shape[1]
        if self.rate is not None:
            flipped = self.rate / (classes - 1)
            kept = 1 - self.rate - flipped
            require(
                kept > 0,
                f"rate: expected less than 1 - 1/{classes} for outputs of {classes} classes, got "
                f"{self.rate}",
            )
            right = true_class_log_prob(outputs, targets) + math.log(kept)
            return -torch.logaddexp(right, torch.full_like(right, flipped).log())
        matrix = outputs.new_tensor(self.transition)
        require(
            len(matrix) == classes,
            f"outputs: expected {len(matrix)} classes as in transition, got {classes}",
        )
        return -torch.logsumexp(outputs.log_softmax(1) + matrix.log().T[targets], dim=1)
