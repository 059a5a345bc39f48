"""Sums over the margins of recent batches, class by class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from metaloss.checks import InputError
from metaloss.conditioners.base import Conditioner, check_decay
from metaloss.conditioners.margin import Margins, margins
from metaloss.losses.numerics import default_precision

BLOCK = 4096  # rows of a batch whose sum is taken at once


class ClassTotals(Conditioner, ABC):
    r"""Remembers decayed sums over the samples of each class, and their decayed numbers.

    .. math:: \sum_t \rho^{T-t} \sum_{i \in B_t, y_i = c} (s(m_i), 1)

    A subclass says what is summed, and computes its features from the sums. ``forward`` reads them;
    only ``observe`` and ``track`` update them. The first batch that is observed sets the number of
    classes; ``prepare`` sets it before, and resets the sums.

    Args:
        decay: :math:`\rho`, in [0, 1), the weight of a batch relative to the next one.

    Attributes:
        num_sums: the number of sums for each class.
        totals: the sums and the number of samples, ``[classes, num_sums + 1]``.
    """

    num_sums: ClassVar[int]
    sized_by_data = ("totals",)
    totals: Tensor

    def __init__(self, decay: float = 0.98) -> None:
        super().__init__()
        self.decay = check_decay(decay)
        totals = torch.zeros(0, self.num_sums + 1, dtype=default_precision())
        self.register_buffer("totals", totals)

    @abstractmethod
    def summed(self, margin: Float[Tensor, "batch 1"]) -> Float[Tensor, "batch sums"]:
        """Return what is summed, from the margin of each sample."""

    @abstractmethod
    def features(
        self, now: Margins, targets: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch features"]:
        """Return the features of each sample, from the margins and the sums so far."""

    def prepare(
        self,
        targets: Int[Tensor, " samples"],  # noqa: ARG002
        num_classes: int | None,
    ) -> None:
        """Reset the sums."""
        if num_classes is None:
            raise InputError(
                f"{type(self).__name__}: expected a task with classes, got a regression"
            )
        self.totals = self.totals.new_zeros(num_classes, self.num_sums + 1)

    def forward(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        index: Int[Tensor, " batch"] | None = None,  # noqa: ARG002
    ) -> Float[Tensor, "batch features"]:
        """Return the features of each sample."""
        return self.features(self._margins(outputs, targets), targets)

    def observe(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        index: Int[Tensor, " batch"] | None = None,  # noqa: ARG002
        kept: Bool[Tensor, " batch"] | None = None,
    ) -> None:
        """Update the sums with this batch."""
        self.add(self.of_batch(outputs, targets, kept))

    def track(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        index: Int[Tensor, " batch"] | None = None,  # noqa: ARG002
        kept: Bool[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch features"]:
        """Return the features, then update the sums."""
        now = self._margins(outputs, targets)
        features = self.features(now, targets)
        self.add(self._summed(now, targets, kept, outputs.shape[1]))
        return features

    def of_batch(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        kept: Bool[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "classes sums"]:
        """Return the sums over a batch, which processes can add up; arguments as for observe."""
        return self._summed(self._margins(outputs, targets), targets, kept, outputs.shape[1])

    def add(self, sums: Float[Tensor, "classes sums"]) -> None:
        """Update the sums with those over a batch."""
        if len(self.totals) == 0:
            with torch.inference_mode(False):  # else training could not write to it
                self.totals = self.totals.new_zeros(sums.shape)
        # The batch is summed by itself: from 2^24 on, a total in float32 plus 1 is what it was.
        self.totals.mul_(self.decay).add_(sums)

    def _margins(
        self, outputs: Float[Tensor, "batch classes"], targets: Int[Tensor, " batch"]
    ) -> Margins:
        classes = len(self.totals)
        if classes not in {0, outputs.shape[1]}:
            raise InputError(
                f"{type(self).__name__}: expected outputs of {classes} classes, as before, "
                f"got {outputs.shape[1]}"
            )
        return margins(outputs, targets)

    def _summed(
        self,
        now: Margins,
        targets: Int[Tensor, " batch"],
        kept: Bool[Tensor, " batch"] | None,
        num_classes: int,
    ) -> Float[Tensor, "classes sums"]:
        margin = now.margin.detach().to(self.totals.dtype)
        one_more = torch.cat([self.summed(margin), torch.ones_like(margin)], dim=1)
        if kept is not None:
            one_more = one_more.where(kept.unsqueeze(1), 0.0)
        return summed_by_class(one_more, targets, num_classes)


def summed_by_class(
    rows: Float[Tensor, "batch sums"], targets: Int[Tensor, " batch"], num_classes: int
) -> Float[Tensor, "classes sums"]:
    """Return the sum of the rows of each class, precise for millions of rows too.

    Blocks of rows are summed first, and then the blocks, since one sum of all rows would round each
    row to the precision of the sum. Not every accelerator has float64.
    """
    if len(rows) <= BLOCK:
        return rows.new_zeros(num_classes, rows.shape[1]).index_add_(0, targets, rows)
    blocks = -(-len(rows) // BLOCK)
    cells = torch.arange(len(rows), device=rows.device) // BLOCK * num_classes + targets
    sums = rows.new_zeros(blocks * num_classes, rows.shape[1]).index_add_(0, cells, rows)
    return sums.view(blocks, num_classes, -1).sum(dim=0)
