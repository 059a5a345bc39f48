"""What the classes are like now: their mean margins over recent batches."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.checks import InputError, require
from metaloss.conditioners.base import Conditioner, check_decay
from metaloss.conditioners.margin import own_and_others


class ClassMargins(Conditioner):
    r"""The mean margin of recent samples, and how far the label's class and its rival are from it.

    .. math:: \mu_c = \frac{\sum_t \rho^{T-t} \sum_{i \in B_t, y_i = c} m_i}
                           {\sum_t \rho^{T-t} \sum_{i \in B_t, y_i = c} 1}, \qquad
              (\mu,\ \mu_y - \mu,\ \mu_r - \mu), \quad r = \arg\max_{j \ne y} z_j

    Here :math:`\mu` is the mean over all classes; with no samples it is 0, and a class without any
    is like the others. Labels that are wrong at random lower all classes' margins alike. Labels
    that went from one class to another do not: the class that lost most of its samples has a low
    mean, for the network calls the rest of it by the other's name, and there it is the samples
    with a low margin that are right.

    ``forward`` reads the means and leaves them; ``observe`` moves them.

    Args:
        decay: :math:`\rho`, in [0, 1): how much less a batch counts than the next.

    Example:
        >>> import torch
        >>> from metaloss.conditioners import ClassMargins
        >>> conditioner = ClassMargins()
        >>> outputs, labels = torch.tensor([[4.0, 0.0], [3.0, 2.0]]), torch.tensor([0, 1])
        >>> conditioner.prepare(targets=labels, num_classes=2)
        >>> conditioner.observe(outputs, labels)
        >>> conditioner(outputs, labels)
        tensor([[ 1.5000,  2.5000, -2.5000],
                [ 1.5000, -2.5000,  2.5000]])
    """

    num_features = 3
    sized_by_data = ("sums", "counts")
    sums: Tensor
    counts: Tensor

    def __init__(self, decay: float = 0.98) -> None:
        super().__init__()
        self.decay = check_decay(decay)
        self.register_buffer("sums", torch.zeros(0))
        self.register_buffer("counts", torch.zeros(0))

    def prepare(
        self,
        targets: Int[Tensor, " samples"],  # noqa: ARG002
        num_classes: int | None,
    ) -> None:
        """Forget what was before."""
        if num_classes is None:
            raise InputError("ClassMargins: expected a task with classes, got a regression")
        self.sums = self.sums.new_zeros(num_classes)
        self.counts = self.counts.new_zeros(num_classes)

    def forward(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        index: Int[Tensor, " batch"] | None = None,  # noqa: ARG002
    ) -> Float[Tensor, "batch 3"]:
        """The means, of all, of the label's class and of the rival's."""
        margins, rivals = self._margins(outputs, targets)
        return self._means(targets, rivals).to(margins.dtype)

    def observe(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        index: Int[Tensor, " batch"] | None = None,  # noqa: ARG002
    ) -> None:
        """Move the means towards this batch's."""
        margins, _ = self._margins(outputs, targets)
        self._move(margins, targets)

    def track(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        index: Int[Tensor, " batch"] | None = None,  # noqa: ARG002
    ) -> Float[Tensor, "batch 3"]:
        """The means, which are moved afterwards."""
        margins, rivals = self._margins(outputs, targets)
        features = self._means(targets, rivals).to(margins.dtype)
        self._move(margins, targets)
        return features

    def _margins(
        self, outputs: Float[Tensor, "batch classes"], targets: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, " batch"], Int[Tensor, " batch"]]:
        classes = len(self.sums)
        require(
            classes > 0,
            "ClassMargins: there are no classes yet; call prepare(targets, num_classes) with the "
            "training labels before training",
        )
        if classes != outputs.shape[1]:
            raise InputError(
                f"ClassMargins: expected outputs of {classes} classes, as prepare was told, "
                f"got {outputs.shape[1]}"
            )
        own, others = own_and_others(outputs.detach(), targets)
        theirs, rivals = others.max(dim=1)
        return own.squeeze(1) - theirs, rivals

    def _means(
        self, targets: Int[Tensor, " batch"], rivals: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch 3"]:
        of_all = self.sums.sum() / self.counts.sum().clamp(min=1e-30)
        apart = torch.where(self.counts > 0, self.sums / self.counts - of_all, 0.0)
        own, its = apart.index_select(0, targets), apart.index_select(0, rivals)
        return torch.stack([of_all.expand_as(own), own, its], dim=1)

    def _move(self, margins: Float[Tensor, " batch"], targets: Int[Tensor, " batch"]) -> None:
        margins = margins.to(self.sums.dtype)
        self.sums.mul_(self.decay).index_add_(0, targets, margins)
        self.counts.mul_(self.decay).index_add_(0, targets, torch.ones_like(margins))
