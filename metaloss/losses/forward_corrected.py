"""Cross entropy of noisy labels through their transition matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.arguments import check_arguments
from metaloss.checks import InputError, require
from metaloss.losses.base import LossFamily
from metaloss.losses.hyperparameter import Hyperparameter


@dataclass(frozen=True)
class ForwardCorrected(LossFamily):
    r"""Cross entropy after the predictions are carried through a transition matrix.

    .. math:: \mathcal{L} = -\log \sum_i f_i \, T_{iy}

    The network predicts the true label; :math:`T` turns that into a prediction of the noisy label,
    which is what there is to compare with. With the right matrix the minimiser is that of cross
    entropy on clean labels. The loss has no hyperparameters.

    Args:
        transition: row ``i`` is the distribution of the noisy label of a sample of class ``i``.

    Raises:
        InputError: the matrix is not square, a row is not a distribution, a label never occurs, or
            a call has another number of classes.

    Example:
        >>> import torch
        >>> from metaloss.losses import ForwardCorrected
        >>> loss = ForwardCorrected(((0.75, 0.25), (0.0, 1.0)))
        >>> loss(torch.tensor([[0.0, -1e4]]), torch.tensor([1]), torch.empty(1, 0)).exp()
        tensor([4.])

    References:
        Patrini et al., Making deep neural networks robust to label noise: a loss correction
        approach, 2017, Eq. 5.
    """

    transition: Sequence[Sequence[float]]

    hyperparameters: ClassVar[tuple[Hyperparameter, ...]] = ()

    def __post_init__(self) -> None:
        """Check the matrix."""
        check_arguments(self)
        rows = tuple(tuple(map(float, row)) for row in self.transition)
        object.__setattr__(self, "transition", rows)
        object.__setattr__(self, "_columns", {})  # the logarithm by dtype and device
        require(
            len(rows) >= 2 and all(len(row) == len(rows) for row in rows),
            f"transition: expected a square matrix, got rows of {[len(row) for row in rows]}",
        )
        for i, row in enumerate(rows):
            require(
                all(p >= 0 for p in row) and math.isclose(sum(row), 1, abs_tol=1e-4),
                f"transition: expected probabilities that sum to 1, got {sum(row):g} in row {i}",
            )
        for label, column in enumerate(zip(*rows, strict=True)):
            require(
                any(p > 0 for p in column),
                f"transition: expected every label to occur, got label {label} with probability 0 "
                "in every row",
            )

    def per_sample(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        hparams: Float[Tensor, "batch 0"],  # noqa: ARG002 - it has none
    ) -> Float[Tensor, " batch"]:
        """Return the loss of each sample."""
        if outputs.shape[1] != len(self.transition):
            raise InputError(
                f"outputs: expected {len(self.transition)} classes as in the transition matrix, "
                f"got {outputs.shape[1]}"
            )
        columns: dict[tuple[torch.dtype, torch.device], Tensor] = self.__dict__["_columns"]
        place = outputs.dtype, outputs.device
        if place not in columns:
            with torch._C._DisableFuncTorch():  # what a transform wraps must not outlive it
                matrix = torch.tensor(self.transition, dtype=place[0], device=place[1])
                columns[place] = matrix.log().T
        # Brackets would take a negative label for one of the last classes.
        towards = columns[place].index_select(0, targets)
        return -(outputs.log_softmax(dim=1) + towards).logsumexp(dim=1)
