"""Mean margins of the classes over recent batches."""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.conditioners.class_totals import ClassTotals
from metaloss.conditioners.margin import Margins


class ClassMargins(ClassTotals):
    r"""The mean margin of recent batches, and the deviations of the label's class and of its rival.

    .. math:: \mu_c = \frac{\sum_t \rho^{T-t} \sum_{i \in B_t, y_i = c} m_i}
                           {\sum_t \rho^{T-t} \sum_{i \in B_t, y_i = c} 1}, \qquad
              (\mu,\ \mu_y - \mu,\ \mu_r - \mu), \quad r = \arg\max_{j \ne y} z_j

    Here :math:`\mu` is the mean over all classes, and 0 before the first batch. A class without
    samples has deviation 0. Symmetric noise lowers the margins of all classes alike. Asymmetric
    noise does not: a class that lost most of its samples to another has a low mean, because the
    network predicts the other class for the rest of it. There, samples with a low margin have the
    right label.

    ``forward`` reads the means; only ``observe`` and ``track`` update them. The first batch that is
    observed sets the number of classes; ``prepare`` sets it before, and resets the means.

    Args:
        decay: :math:`\rho`, in [0, 1), the weight of a batch relative to the next one.

    Example:
        >>> import torch
        >>> from metaloss.conditioners import ClassMargins
        >>> conditioner = ClassMargins()
        >>> outputs, labels = torch.tensor([[4.0, 0.0], [3.0, 2.0]]), torch.tensor([0, 1])
        >>> conditioner.observe(outputs, labels)
        >>> conditioner(outputs, labels)
        tensor([[ 1.5000,  2.5000, -2.5000],
                [ 1.5000, -2.5000,  2.5000]])
    """

    num_features = 3
    num_sums: ClassVar[int] = 1

    def summed(self, margin: Float[Tensor, "batch 1"]) -> Float[Tensor, "batch 1"]:
        """Return the margin."""
        return margin

    def features(self, now: Margins, targets: Int[Tensor, " batch"]) -> Float[Tensor, "batch 3"]:
        """Return the mean, and the deviations of the label's class and of the rival."""
        if len(self.totals) == 0:
            return now.margin.new_zeros(len(targets), 3)
        sums, counts = self.totals.tensor_split(2, dim=1)
        of_all = sums.sum() / counts.sum()
        apart = sums / counts - of_all
        own, its = apart.index_select(0, targets), apart.index_select(0, now.rival.squeeze(1))
        means = torch.cat([of_all.expand_as(own), own, its], dim=1).to(now.margin.dtype)
        # A count of 0 (no batch yet, or no sample of that class) gives 0.
        return means.nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)
