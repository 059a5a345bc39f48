"""How large another conditioner's features are, whatever their sign."""

from __future__ import annotations

from jaxtyping import Bool, Float, Int
from torch import Tensor

from metaloss.conditioners.base import tracked
from metaloss.conditioners.wrapper import Wrapper
from metaloss.types import Outputs, Targets


class Magnitude(Wrapper):
    r"""The absolute value of another conditioner's features, :math:`|f|`.

    The mean margin of recent batches is near 0 for a network that has fitted data with half of the
    labels wrong, and for an untrained network. The mean absolute margin,
    ``RunningMean(Magnitude(Margin()))``, distinguishes the two: it is large for the first one.

    Args:
        conditioner: computes the features.

    Example:
        >>> import torch
        >>> from metaloss.conditioners import Magnitude, Margin
        >>> Magnitude(Margin())(torch.tensor([[3.0, 1.0, 0.0]]), torch.tensor([1]))
        tensor([[2.]])
    """

    def forward(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch features"]:
        """Return the absolute features of each sample."""
        return self.conditioner(outputs, targets, index).abs()

    def track(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
        kept: Bool[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch features"]:
        """Return the absolute features and update the other conditioner's memory."""
        return tracked(self.conditioner, outputs, targets, index, kept).abs()
