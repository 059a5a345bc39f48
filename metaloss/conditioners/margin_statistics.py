"""The margin and statistics of the margins of recent batches."""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.conditioners.class_totals import ClassTotals
from metaloss.conditioners.margin import Margins

TINY = torch.finfo(torch.float32).tiny  # below the smallest count that batches can decay to


class MarginStatistics(ClassTotals):
    r"""The margin, and what margins were like in recent batches; it needs no sample ids.

    .. math:: (m,\ \mu,\ \mu_y - \mu,\ \mu_r - \mu,\ \nu), \qquad
              \mu = \overline{m}, \quad \nu = \overline{|m|}, \quad r = \arg\max_{j \ne y} z_j

    The means are over the samples of recent batches, of all labels or of one, as in
    :class:`ClassMargins`. They tell a network that knows nothing from one that fits its data, and
    noise that moves labels from class to class from noise that does not.

    ``forward`` reads the means; only ``observe`` and ``track`` update them. The first batch that is
    observed sets the number of classes; ``prepare`` sets it before, and resets the means.

    Args:
        decay: the weight of a batch relative to the next one, in [0, 1).

    Example:
        >>> import torch
        >>> from metaloss.conditioners import MarginStatistics
        >>> conditioner = MarginStatistics()
        >>> outputs, labels = torch.tensor([[4.0, 0.0], [3.0, 2.0]]), torch.tensor([0, 1])
        >>> conditioner.observe(outputs, labels)
        >>> conditioner(outputs, labels)
        tensor([[ 4.0000,  1.5000,  2.5000, -2.5000,  2.5000],
                [-1.0000,  1.5000, -2.5000,  2.5000,  2.5000]])
    """

    num_features = 5
    num_sums: ClassVar[int] = 2

    def summed(self, margin: Float[Tensor, "batch 1"]) -> Float[Tensor, "batch 2"]:
        """Return the margin and its absolute value."""
        return torch.cat([margin, margin.abs()], dim=1)

    def features(self, now: Margins, targets: Int[Tensor, " batch"]) -> Float[Tensor, "batch 5"]:
        """Return the margin, the mean, the two deviations and the mean absolute margin."""
        margin, rival = now
        if len(self.totals) == 0:
            return torch.cat([margin, margin.new_zeros(len(margin), 4)], dim=1)
        # A count of 0 (no batch yet, or no sample of that class) gives 0.
        sums, sizes, counts = self.totals.unbind(dim=1)
        seen = counts.sum().clamp_min(TINY)
        mean, size = sums.sum() / seen, sizes.sum() / seen
        apart = (sums - mean * counts) / counts.clamp_min(TINY)
        classes = torch.cat([targets.unsqueeze(1), rival], dim=1)
        columns = [mean.expand_as(margin), apart[classes], size.expand_as(margin)]
        return torch.cat([margin, *(column.to(margin.dtype) for column in columns)], dim=1)
