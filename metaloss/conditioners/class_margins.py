"""Mean margins of the classes over recent batches."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from metaloss.checks import InputError
from metaloss.conditioners.base import Conditioner, check_decay
from metaloss.conditioners.margin import Margins, margins


class ClassMargins(Conditioner):
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
    sized_by_data = ("totals",)
    totals: Tensor  # [classes, 2]: the decayed sum of each class's margins, and their decayed count

    def __init__(self, decay: float = 0.98) -> None:
        super().__init__()
        self.decay = check_decay(decay)
        self.register_buffer("totals", torch.zeros(0, 2))

    def prepare(
        self,
        targets: Int[Tensor, " samples"],  # noqa: ARG002
        num_classes: int | None,
    ) -> None:
        """Reset the means."""
        if num_classes is None:
            raise InputError("ClassMargins: expected a task with classes, got a regression")
        self.totals = self.totals.new_zeros(num_classes, 2)

    def forward(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        index: Int[Tensor, " batch"] | None = None,  # noqa: ARG002
    ) -> Float[Tensor, "batch 3"]:
        """Returns the mean, and the deviations of the label's class and of the rival."""
        return self._means(self._margins(outputs, targets), targets)

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
    ) -> Float[Tensor, "batch 3"]:
        """Returns the features, then updates the means."""
        now = self._margins(outputs, targets)
        features = self._means(now, targets)
        self._move(now, targets, kept, outputs.shape[1])
        return features

    def _margins(
        self, outputs: Float[Tensor, "batch classes"], targets: Int[Tensor, " batch"]
    ) -> Margins:
        classes = len(self.totals)
        if classes not in {0, outputs.shape[1]}:
            raise InputError(
                f"ClassMargins: expected outputs of {classes} classes, as before, "
                f"got {outputs.shape[1]}"
            )
        return margins(outputs, targets)

    def _means(self, now: Margins, targets: Int[Tensor, " batch"]) -> Float[Tensor, "batch 3"]:
        if len(self.totals) == 0:
            return now.margin.new_zeros(len(targets), 3)
        sums, counts = self.totals.tensor_split(2, dim=1)
        of_all = sums.sum() / counts.sum()
        apart = sums / counts - of_all
        own, its = apart.index_select(0, targets), apart.index_select(0, now.rival.squeeze(1))
        means = torch.cat([of_all.expand_as(own), own, its], dim=1).to(now.margin.dtype)
        # A count of 0 (no batch yet, or no sample of that class) gives 0.
        return means.nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)

    def _move(
        self,
        now: Margins,
        targets: Int[Tensor, " batch"],
        kept: Bool[Tensor, " batch"] | None,
        num_classes: int,
    ) -> None:
        if len(self.totals) == 0:
            self.totals = self.totals.new_zeros(num_classes, 2)
        margin = now.margin.detach().to(self.totals.dtype)
        one_more = torch.cat([margin, torch.ones_like(margin)], dim=1)
        if kept is not None:
            one_more = one_more.where(kept.unsqueeze(1), 0.0)
        self.totals.mul_(self.decay).index_add_(0, targets, one_more)
