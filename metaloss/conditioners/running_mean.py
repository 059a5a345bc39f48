"""The mean of features over recent batches."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.conditioners.base import Conditioner, check_decay
from metaloss.conditioners.wrapper import Wrapper
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
        self.register_buffer("mean", torch.zeros(conditioner.num_features))

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
        """Returns the mean for each sample."""
        return self._mean_as(self.conditioner(outputs, targets, index))

    def observe(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
    ) -> None:
        """Update the mean with this batch."""
        self.track(outputs, targets, index)

    def track(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch features"]:
        """Returns the mean, then updates it."""
        current = self.conditioner.track(outputs, targets, index)
        features = self._mean_as(current)
        self.mean.lerp_(current.detach().mean(dim=0).to(self.mean.dtype), 1 - self.decay)
        return features

    def _mean_as(self, current: Float[Tensor, "batch features"]) -> Float[Tensor, "batch features"]:
        # A copy, because a graph may hold it while the mean is updated in place.
        return self.mean.to(current.dtype).expand_as(current).clone()
