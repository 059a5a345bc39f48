"""The margin and statistics of the margins of recent batches."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from metaloss.checks import InputError
from metaloss.conditioners.base import Conditioner, check_decay
from metaloss.conditioners.margin import Margins, margins


class MarginStatistics(Conditioner):
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
    sized_by_data = ("totals",)
    totals: Tensor  # [classes, 3]: decayed sums of margins and of their sizes, and decayed counts

    def __init__(self, decay: float = 0.98) -> None:
        super().__init__()
        self.decay = check_decay(decay)
        self.register_buffer("totals", torch.zeros(0, 3))

    def prepare(
        self,
        targets: Int[Tensor, " samples"],  # noqa: ARG002
        num_classes: int | None,
    ) -> None:
        """Reset the means."""
        if num_classes is None:
            raise InputError("MarginStatistics: expected a task with classes, got a regression")
        self.totals = self.totals.new_zeros(num_classes, 3)

    def forward(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        index: Int[Tensor, " batch"] | None = None,  # noqa: ARG002
    ) -> Float[Tensor, "batch 5"]:
        """Returns the margin, the two means and the two deviations of each sample."""
        return self._features(self._margins(outputs, targets), targets)

    def observe(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        index: Int[Tensor, " batch"] | None = None,  # noqa: ARG002
        kept: Bool[Tensor, " batch"] | None = None,
    ) -> None:
        """Update the means with this batch."""
        self._move(self._margins(outputs, targets), targets, kept, outputs.shape[1])

    def track(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        index: Int[Tensor, " batch"] | None = None,  # noqa: ARG002
        kept: Bool[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch 5"]:
        """Returns the features, then updates the means."""
        now = self._margins(outputs, targets)
        features = self._features(now, targets)
        self._move(now, targets, kept, outputs.shape[1])
        return features

    def _margins(
        self, outputs: Float[Tensor, "batch classes"], targets: Int[Tensor, " batch"]
    ) -> Margins:
        classes = len(self.totals)
        if classes not in {0, outputs.shape[1]}:
            raise InputError(
                f"MarginStatistics: expected outputs of {classes} classes, as before, "
                f"got {outputs.shape[1]}"
            )
        return margins(outputs, targets)

    def _features(self, now: Margins, targets: Int[Tensor, " batch"]) -> Float[Tensor, "batch 5"]:
        margin, rival = now
        if len(self.totals) == 0:
            return torch.cat([margin, margin.new_zeros(len(margin), 4)], dim=1)
        # A count of 0 (no batch yet, or no sample of that class) gives 0.
        both = (self.totals.sum(0) / self.totals[:, 2].sum()).nan_to_num(nan=0.0)
        sums, _, counts = self.totals.unbind(dim=1)
        apart = (sums / counts - both[0]).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
        classes = torch.cat([targets.unsqueeze(1), rival], dim=1)
        means = both.expand(len(margin), 3)
        columns = [margin, means[:, :1], apart[classes], means[:, 1:2]]
        return torch.cat([column.to(margin.dtype) for column in columns], dim=1)

    def _move(
        self,
        now: Margins,
        targets: Int[Tensor, " batch"],
        kept: Bool[Tensor, " batch"] | None,
        num_classes: int,
    ) -> None:
        if len(self.totals) == 0:
            self.totals = self.totals.new_zeros(num_classes, 3)
        margin = now.margin.detach().to(self.totals.dtype)
        one_more = torch.cat([margin, margin.abs(), torch.ones_like(margin)], dim=1)
        if kept is not None:
            one_more = one_more.where(kept.unsqueeze(1), 0.0)
        self.totals.mul_(self.decay).index_add_(0, targets, one_more)
