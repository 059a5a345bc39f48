"""How large another conditioner's features are, whatever their sign."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from metaloss.conditioners.wrapper import Wrapper
from metaloss.types import Outputs, Targets


class Magnitude(Wrapper):
    r"""How large another conditioner's features are, :math:`|f|`.

    The mean margin of recent batches is near 0 in a network that has fitted data of which half the
    labels are wrong, and in one that has not yet fitted anything. The mean *size* of the margins,
    ``RunningMean(Magnitude(Margin()))``, tells the two apart: the first is sure of itself.

    Args:
        conditioner: whose features.

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
        """The absolute features of each sample."""
        return self.conditioner(outputs, targets, index).abs()

    def track(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch features"]:
        """The same, and the other one remembers the batch."""
        return self.conditioner.track(outputs, targets, index).abs()
