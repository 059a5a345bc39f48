"""What the training set is like now: features averaged over recent batches."""

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

    One sample's margin does not say how noisy the labels around it are, nor how far the network has
    come; the mean margin says something of both, in any network and whatever a training's length.

    ``forward`` reads the mean and leaves it; ``observe`` moves it.

    Args:
        conditioner: what to average.
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
        """Forget what was before."""
        super().prepare(targets, num_classes)
        self.mean = torch.zeros_like(self.mean)

    def forward(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch features"]:
        """The mean, once a sample."""
        return self._mean_as(self.conditioner(outputs, targets, index))

    def observe(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
    ) -> None:
        """Move the mean towards this batch's."""
        self.track(outputs, targets, index)

    def track(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch features"]:
        """The mean, which is moved afterwards."""
        current = self.conditioner.track(outputs, targets, index)
        features = self._mean_as(current)
        self.mean.lerp_(current.detach().mean(dim=0).to(self.mean.dtype), 1 - self.decay)
        return features

    def _mean_as(self, current: Float[Tensor, "batch features"]) -> Float[Tensor, "batch features"]:
        # A copy: a graph may hold it while the mean moves.
        return self.mean.to(current.dtype).expand_as(current).clone()
