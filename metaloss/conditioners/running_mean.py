"""The mean of features over recent batches."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from metaloss.conditioners.base import Conditioner, check_decay, tracked
from metaloss.conditioners.wrapper import Wrapper
from metaloss.losses.numerics import default_precision
from metaloss.types import Outputs, Targets


class RunningMean(Wrapper):
    r"""The mean of another conditioner's features over recent batches, the same for every sample.

    .. math:: \mu_t = \rho \mu_{t-1} + (1 - \rho) \frac1n \sum_i f_i, \qquad \mu_0 = 0

    The margin of one sample does not tell the noise rate of the data or the progress of training.
    The mean margin depends on both, for any network and length of training.

    ``forward`` reads the mean; only ``observe`` and ``track`` update it.

    Args:
        conditioner: computes the features to average.
        decay: :math:`\rho`, in [0, 1).

    Example:
        >>> import torch
        >>> from metaloss.conditioners import Margin, RunningMean
        >>> conditioner = RunningMean(Margin(), decay=0.5)
        >>> outputs, labels = torch.tensor([[4.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 0])
        >>> conditioner.observe(outputs, labels)
        >>> conditioner(outputs, labels)
        tensor([[1.],
                [1.]])
    """

    mean: Tensor

    def __init__(self, conditioner: Conditioner, decay: float = 0.98) -> None:
        super().__init__(conditioner)
        self.decay = check_decay(decay)
        mean = torch.zeros(conditioner.num_features, dtype=default_precision())
        self.register_buffer("mean", mean)

    def prepare(self, targets: Targets, num_classes: int | None) -> None:
        """Reset the mean."""
        super().prepare(targets, num_classes)
        self.mean = torch.zeros_like(self.mean)

    def forward(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch features"]:
        """Return the mean for each sample."""
        return self._mean_as(self.conditioner(outputs, targets, index))

    def observe(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
        kept: Bool[Tensor, " batch"] | None = None,
    ) -> None:
        """Update the mean with this batch."""
        self.track(outputs, targets, index, kept)

    def track(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
        kept: Bool[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch features"]:
        """Return the mean, then update it."""
        current = tracked(self.conditioner, outputs, targets, index, kept)
        features = self._mean_as(current)
        latest = current.detach().to(self.mean.dtype)
        if kept is None:
            self.mean.lerp_(latest.mean(dim=0), 1 - self.decay)
        else:  # without a sample that is kept the mean stays
            total = latest.where(kept.unsqueeze(1), 0.0).sum(dim=0)
            found = total / kept.sum().clamp_min(1)
            self.mean.lerp_(torch.where(kept.any(), found, self.mean), 1 - self.decay)
        return features

    def _mean_as(self, current: Float[Tensor, "batch features"]) -> Float[Tensor, "batch features"]:
        # A copy, because a graph may hold it while the mean is updated in place.
        return self.mean.to(current.dtype).expand_as(current).clone()
